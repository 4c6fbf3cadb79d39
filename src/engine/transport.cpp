#include "engine/transport.hpp"

#include <algorithm>

#include "os/temp_file.hpp"

namespace mono::engine {

namespace {

constexpr size_t kFilePiece = 16 * 1024;  // a TLS record's worth

}  // namespace

os::IoResult Transport::send(const char* bytes, size_t length) const {
    if (!channel_) return os::send_bytes(fd_.get(), bytes, length);
    const iovec part{const_cast<char*>(bytes), length};
    return channel_->send(&part, 1);
}

os::IoResult Transport::send_file(int file, uint64_t offset, uint64_t length) const {
    if (!channel_) return os::send_file(fd_.get(), file, offset, length);
    char piece[kFilePiece];
    const int64_t got =
        os::read_at(file, offset, {piece, std::min<uint64_t>(length, sizeof piece)});
    // The file is shorter than it was: what was promised cannot be sent.
    if (got <= 0) return {os::IoStatus::kBroken, 0};
    return send(piece, static_cast<size_t>(got));
}

void Transport::end_output() const {
    say_end();
    os::shutdown_write(fd_.get());
}

}  // namespace mono::engine
