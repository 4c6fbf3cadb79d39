#include "engine/warmup.hpp"

#include <charconv>
#include <string>

#include "engine/core.hpp"
#include "os/socket.hpp"
#include "uwsgi/packet.hpp"

namespace mono::engine {

namespace {

constexpr size_t kStatusAt = 9;  // behind "HTTP/1.1 "
constexpr std::string_view kName = "monoceros-warmup";

std::string head(std::string_view path) {
    return "GET " + std::string(path) +
           " HTTP/1.1\r\nHost: localhost\r\nUser-Agent: " + std::string(kName) +
           "\r\nConnection: close\r\n\r\n";
}

std::string packet(std::string_view path) {
    return uwsgi::write_packet({{"REQUEST_METHOD", "GET"},
                                {"REQUEST_URI", path},
                                {"HTTP_HOST", "localhost"},
                                {"HTTP_USER_AGENT", kName},
                                {"HTTP_CONNECTION", "close"}});
}

}  // namespace

bool Warmup::begin(std::string_view path) {
    os::StreamPair pair = os::stream_pair();
    if (!pair.left || !core_.poller.add_reader(pair.left.get(), kWarmupKey, false)) return false;
    client_ = std::move(pair.left);
    std::string request = core_.options.limits.uwsgi_allow_ips ? packet(path) : head(path);
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
