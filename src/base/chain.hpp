// Chain: bytes on their way to a peer, as pieces: copied bytes, memory that somebody else keeps
// alive, and ranges of files. In order. What is in memory may be moved into a file meanwhile, from
// the end on: the front leaves first.
// Owner: one connection, under its engine's lock. The chain never frees a shared owner itself: it
// hands it back through `released`, because only a thread attached to Python may drop it.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "base/buffer.hpp"

namespace mono::base {

struct Released {
    void* owner = nullptr;  // of a shared piece
    int fd = -1;            // of a file piece that owned its descriptor
};

class Chain {
  public:
    void append_copy(std::string_view bytes);
    // `owner` keeps bytes, of which there are some, alive until it appears in released.
    void append_shared(std::string_view bytes, void* owner);
    // Not empty either; fd appears in released when the piece is done.
    void append_file(int fd, uint64_t offset, uint64_t length);

    bool empty() const { return bytes() == 0; }  // no piece is
    uint64_t bytes() const { return memory_bytes_ + file_bytes_; }
    uint64_t memory_bytes() const { return memory_bytes_; }

    // The memory pieces at the front, at most `count`; 0 when a file piece is in front.
    int gather(iovec* vectors, int count) const;
    struct FileRange {
        int fd = -1;
        uint64_t offset = 0;
        uint64_t length = 0;
    };
    // The file piece at the front; fd -1 when there is none.
    FileRange front_file() const;

    // Copies the last bytes in memory, as many as fit and have no file between them. Nothing is
    // added to their pieces any more.
    struct Tail {
        uint64_t length = 0;  // 0: all is in files
        uint64_t end = 0;     // counted from the chain's first byte ever
    };
    Tail copy_tail(std::span<char> into);
    // A file has the bytes of `tail` at `offset` now: what of them has not been consumed is taken
    // from there. `keeper` keeps fd open. A small rest of a shared piece is copied: its owner goes.
    void store(const Tail& tail, int fd, uint64_t offset, std::shared_ptr<const void> keeper,
               std::vector<Released>& released);

    void consume(uint64_t bytes, std::vector<Released>& released);
    void clear(std::vector<Released>& released);

  private:
    struct Piece {
        Buffer copied;
        const char* shared = nullptr;
        void* owner = nullptr;
        int fd = -1;
        std::shared_ptr<const void> keeper;  // of fd; nullptr: fd is the piece's own
        bool sealed = false;
        uint64_t offset = 0;  // into copied, shared or the file
        uint64_t length = 0;
    };
    using Place = std::vector<Piece>::iterator;
    Place begin() { return pieces_.begin() + static_cast<std::ptrdiff_t>(first_); }
    void pop_front();
    void forget();
    static const char* bytes_of(const Piece& piece) {
        return (piece.shared != nullptr ? piece.shared : piece.copied.data()) + piece.offset;
    }
    static void own_rest(Piece& piece, std::vector<Released>& released);
    static void release(const Piece& piece, std::vector<Released>& released);

    static constexpr size_t kCoalesceBytes = 16384;
    static constexpr uint64_t kOwnedRestBytes = 256 * 1024;
    static constexpr size_t kPlacesKept = 16;
    std::vector<Piece> pieces_;
    size_t first_ = 0;  // in pieces_: those before it have left
    uint64_t memory_bytes_ = 0;
    uint64_t file_bytes_ = 0;
    uint64_t consumed_ = 0;  // ever
};

}  // namespace mono::base
