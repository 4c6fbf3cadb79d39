#include "base/chain.hpp"

namespace mono::base {

void Chain::append_copy(std::string_view bytes) {
    if (bytes.empty()) return;
    memory_bytes_ += bytes.size();
    if (!pieces_.empty()) {
        Piece& last = pieces_.back();
        bool copies = last.fd < 0 && last.shared == nullptr;
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

void Chain::append_file(int fd, uint64_t offset, uint64_t length, bool close_fd) {
    file_bytes_ += length;
    if (!pieces_.empty() && !close_fd) {
        Piece& last = pieces_.back();
        if (last.fd == fd && !last.close_fd && last.offset + last.length == offset) {
            last.length += length;
            return;
        }
    }
    Piece& piece = pieces_.emplace_back();
    piece.fd = fd;
    piece.close_fd = close_fd;
    piece.offset = offset;
    piece.length = length;
}

int Chain::gather(iovec* vectors, int count) const {
    int filled = 0;
    for (const Piece& piece : pieces_) {
        if (filled == count || piece.fd >= 0) break;
        vectors[filled].iov_base = const_cast<char*>(bytes_of(piece));
        vectors[filled].iov_len = piece.length;
        ++filled;
    }
    return filled;
}

Chain::FileRange Chain::front_file() const {
    if (pieces_.empty() || pieces_.front().fd < 0) return {};
    const Piece& piece = pieces_.front();
    return {piece.fd, piece.offset, piece.length};
}

void Chain::release(const Piece& piece, std::vector<Released>& released) {
    if (piece.owner != nullptr) released.push_back({piece.owner, -1});
    if (piece.close_fd) released.push_back({nullptr, piece.fd});
}

void Chain::consume(uint64_t bytes, std::vector<Released>& released) {
    while (!pieces_.empty()) {
        Piece& front = pieces_.front();
        uint64_t taken = bytes < front.length ? bytes : front.length;
        (front.fd >= 0 ? file_bytes_ : memory_bytes_) -= taken;
        front.offset += taken;
        front.length -= taken;
        bytes -= taken;
        if (front.length != 0) return;
        release(front, released);
        pieces_.pop_front();
    }
}

void Chain::clear(std::vector<Released>& released) {
    for (const Piece& piece : pieces_) release(piece, released);
    pieces_.clear();
    memory_bytes_ = file_bytes_ = 0;
}

}  // namespace mono::base
