#include "base/chain.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

namespace mono::base {

void Chain::append_copy(std::string_view bytes) {
    if (bytes.empty()) return;
    const bool alone = empty();
    memory_bytes_ += bytes.size();
    if (!alone) {
        Piece& last = pieces_.back();
        bool copies = last.fd < 0 && last.shared == nullptr && !last.sealed;
        if (copies && last.copied.size() + bytes.size() <= kCoalesceBytes) {
            last.copied.append(bytes);
            last.length += bytes.size();
            return;
        }
    }
    Piece& piece = pieces_.emplace_back();
    piece.copied.append(bytes);
    piece.length = bytes.size();
}

void Chain::append_shared(std::string_view bytes, void* owner) {
    memory_bytes_ += bytes.size();
    Piece& piece = pieces_.emplace_back();
    piece.shared = bytes.data();
    piece.owner = owner;
    piece.length = bytes.size();
}

void Chain::append_file(int fd, uint64_t offset, uint64_t length) {
    file_bytes_ += length;
    Piece& piece = pieces_.emplace_back();
    piece.fd = fd;
    piece.offset = offset;
    piece.length = length;
}

int Chain::gather(iovec* vectors, int count) const {
    int filled = 0;
    for (size_t i = first_; i != pieces_.size(); ++i) {
        const Piece& piece = pieces_[i];
        if (filled == count || piece.fd >= 0) break;
        vectors[filled].iov_base = const_cast<char*>(bytes_of(piece));
        vectors[filled].iov_len = piece.length;
        ++filled;
    }
    return filled;
}

Chain::FileRange Chain::front_file() const {
    if (empty() || pieces_[first_].fd < 0) return {};
    const Piece& piece = pieces_[first_];
    return {piece.fd, piece.offset, piece.length};
}

void Chain::release(const Piece& piece, std::vector<Released>& released) {
    if (piece.owner != nullptr) released.push_back({piece.owner, -1});
    if (piece.fd >= 0 && piece.keeper == nullptr) released.push_back({nullptr, piece.fd});
}

Chain::Tail Chain::copy_tail(std::span<char> into) {
    auto piece = pieces_.end();
    uint64_t end = consumed_ + bytes();
    while (piece != begin() && (piece - 1)->fd >= 0) end -= (--piece)->length;
    if (piece == begin()) return {};
    (piece - 1)->sealed = true;
    uint64_t left = into.size();
    while (left != 0 && piece != begin() && (piece - 1)->fd < 0) {
        --piece;
        uint64_t length = std::min(left, piece->length);
        left -= length;
        std::memcpy(into.data() + left, bytes_of(*piece) + piece->length - length, length);
    }
    uint64_t copied = into.size() - left;
    std::memmove(into.data(), into.data() + left, copied);
    return {copied, end};
}

void Chain::store(const Tail& tail, int fd, uint64_t offset, std::shared_ptr<const void> keeper,
                  std::vector<Released>& released) {
    auto piece = pieces_.end();
    for (uint64_t end = consumed_ + bytes(); end != tail.end; end -= (--piece)->length)
        if (end < tail.end || piece == begin()) return;  // consumed
    auto last = piece;
    uint64_t left = tail.length;
    while (left != 0 && piece != begin()) {
        uint64_t length = std::min(left, (piece - 1)->length);
        left -= length;
        if (length != (piece - 1)->length) {
            (piece - 1)->length -= length;
            own_rest(*(piece - 1), released);
            break;
        }
        --piece;
        release(*piece, released);
    }
    uint64_t stored = tail.length - left;
    if (stored == 0) return;
    memory_bytes_ -= stored;
    file_bytes_ += stored;
    Piece file;
    file.fd = fd;
    file.keeper = std::move(keeper);
    file.offset = offset + left;
    file.length = stored;
    pieces_.insert(pieces_.erase(piece, last), std::move(file));
}

// What is left of a large object shall not keep all of it.
void Chain::own_rest(Piece& piece, std::vector<Released>& released) {
    if (piece.owner == nullptr || piece.length > kOwnedRestBytes) return;
    release(piece, released);
    piece.copied.append({bytes_of(piece), piece.length});
    piece.shared = nullptr;
    piece.owner = nullptr;
    piece.offset = 0;
}

void Chain::consume(uint64_t bytes, std::vector<Released>& released) {
    while (!empty()) {
        Piece& front = pieces_[first_];
        uint64_t taken = bytes < front.length ? bytes : front.length;
        (front.fd >= 0 ? file_bytes_ : memory_bytes_) -= taken;
        consumed_ += taken;
        front.offset += taken;
        front.length -= taken;
        bytes -= taken;
        if (front.length != 0) return;
        release(front, released);
        pop_front();
    }
}

// Its memory is given back at once, its place with the others' before it.
void Chain::pop_front() {
    pieces_[first_++] = {};
    if (empty()) return forget();
    if (first_ < kPlacesKept || first_ < pieces_.size() / 2) return;
    pieces_.erase(pieces_.begin(), begin());
    first_ = 0;
}

// An idle connection keeps few places.
void Chain::forget() {
    pieces_.clear();
    if (pieces_.capacity() > kPlacesKept) pieces_.shrink_to_fit();
    first_ = 0;
}

void Chain::clear(std::vector<Released>& released) {
    for (size_t i = first_; i != pieces_.size(); ++i) release(pieces_[i], released);
    forget();
    consumed_ += bytes();
    memory_bytes_ = file_bytes_ = 0;
}

}  // namespace mono::base
