#include "engine/tls_channel.hpp"

#include <string_view>

namespace mono::engine {

using os::IoResult;
using os::IoStatus;
using tls::Session;

namespace {

constexpr size_t kWireBytes = 16 * 1024 + 512;  // a whole record of either version, and some

}  // namespace

// A short result means that the kernel has no more, as it does for recv(2).
IoResult TlsChannel::receive(std::span<char> into) {
    size_t total = 0;
    if (session_->has_pending()) {
        const IoResult got = decrypt({}, into);
        if (got.status != IoStatus::kDone && got.status != IoStatus::kAgain) return got;
        total = got.bytes;
    }
    char wire[kWireBytes];
    while (total < into.size()) {
        const IoResult read = os::receive(fd_, wire);
        if (read.status != IoStatus::kDone)
            return total > 0 ? IoResult{IoStatus::kDone, total} : read;
        const IoResult got = decrypt({wire, read.bytes}, into.subspan(total));
        total += got.bytes;
        const bool on = got.status == IoStatus::kDone || got.status == IoStatus::kAgain;
        if (!on) return total > 0 ? IoResult{IoStatus::kDone, total} : got;
        if (read.bytes < sizeof wire) break;
    }
    return {total > 0 ? IoStatus::kDone : IoStatus::kAgain, total};
}

// And says what the handshake has to say.
IoResult TlsChannel::decrypt(std::string_view wire, std::span<char> into) {
    const Session::Moved moved = session_->read(wire, into);
    const IoResult said = flush();
    switch (moved.status) {
        case Session::Status::kDone:
            session_->keep(wire);
            return {IoStatus::kDone, moved.bytes};
        case Session::Status::kWantInput:
            return {said.status == IoStatus::kBroken ? IoStatus::kBroken : IoStatus::kAgain, 0};
        case Session::Status::kClosed:
            return {IoStatus::kEof, 0};
        case Session::Status::kWantOutput:  // it asks for answers, and does not read them
        case Session::Status::kFailed:
            return {IoStatus::kBroken, 0};
    }
    return {IoStatus::kBroken, 0};
}

IoResult TlsChannel::send(const iovec* parts, int count) {
    if (unsent()) {
        const IoResult said = flush();
        if (said.status != IoStatus::kDone) return said;
        if (unsent()) return {IoStatus::kAgain, 0};
    }
    const Session::Moved moved = session_->write(parts, count);
    if (moved.status == Session::Status::kFailed) return {IoStatus::kBroken, 0};
    if (moved.status != Session::Status::kDone) return {IoStatus::kAgain, 0};
    const IoResult said = flush();
    if (said.status == IoStatus::kBroken) return said;
    return {IoStatus::kDone, moved.bytes};
}

IoResult TlsChannel::flush() {
    size_t total = 0;
    while (unsent()) {
        const std::string_view out = session_->out();
        const IoResult sent = os::send_bytes(fd_, out.data(), out.size());
        if (sent.status == IoStatus::kAgain) break;
        if (sent.status != IoStatus::kDone) return {IoStatus::kBroken, 0};
        session_->sent(sent.bytes);
        total += sent.bytes;
    }
    return {total > 0 || !unsent() ? IoStatus::kDone : IoStatus::kAgain, total};
}

void TlsChannel::say_end() {
    session_->close();
    [[maybe_unused]] const IoResult said = flush();
}

}  // namespace mono::engine
