#include "engine/warmup.hpp"

#include <charconv>
#include <string>

#include "engine/core.hpp"
#include "os/socket.hpp"

namespace mono::engine {

namespace {

constexpr size_t kStatusAt = 9;  // behind "HTTP/1.1 "

}  // namespace

bool Warmup::begin(std::string_view path) {
    os::StreamPair pair = os::stream_pair();
    if (!pair.left || !core_.poller.add_reader(pair.left.get(), kWarmupKey, false)) return false;
    client_ = std::move(pair.left);
    std::string request = "GET " + std::string(path) +
                          " HTTP/1.1\r\nHost: localhost\r\nUser-Agent: monoceros-warmup\r\n"
                          "Connection: close\r\n\r\n";
    os::send_bytes(client_.get(), request.data(), request.size());
    core_.acceptor.pause();
    core_.now.look();
    core_.links.add(std::move(pair.right), {}, 0);
    return true;
}

void Warmup::read() {
    char answer[4096];
    os::IoResult got = os::receive(client_.get(), answer);
    if (got.status == os::IoStatus::kAgain) return;
    uint16_t status = 0;
    if (got.bytes >= kStatusAt + 3)
        std::from_chars(answer + kStatusAt, answer + kStatusAt + 3, status);
    core_.poller.remove(client_.get());
    client_.reset();
    status_ = status;
    core_.acceptor.resume();
    // The runner says that it is ready.
    if (!core_.notices.ring_runner()) core_.wakeup.ring();
}

}  // namespace mono::engine
