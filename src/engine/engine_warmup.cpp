// The warm-up request (warmup_path): before anybody else's, over a socket pair, through all that a
// client's request goes through. Until it is answered the listeners are not watched.
#include <charconv>

#include "engine/engine.hpp"
#include "os/socket.hpp"

namespace mono::engine {
namespace {

constexpr size_t kStatusAt = 9;  // behind "HTTP/1.1 "

}  // namespace

bool Engine::warm_up(std::string_view path) {
    Lock lock(mutex_);
    os::StreamPair pair = os::stream_pair();
    if (!pair.left || !poller_.add_reader(pair.left.get(), kWarmupKey, false)) return false;
    warmup_ = std::move(pair.left);
    std::string request = "GET " + std::string(path) +
                          " HTTP/1.1\r\nHost: localhost\r\nUser-Agent: monoceros-warmup\r\n"
                          "Connection: close\r\n\r\n";
    os::send_bytes(warmup_.get(), request.data(), request.size());
    pause_listeners();
    look_at_clock();
    add_connection(std::move(pair.right), {}, 0);
    return true;
}

// The status line is here, or the connection has ended without one.
void Engine::read_warmup() {
    char answer[4096];
    os::IoResult got = os::receive(warmup_.get(), answer);
    if (got.status == os::IoStatus::kAgain) return;
    uint16_t status = 0;
    if (got.bytes >= kStatusAt + 3)
        std::from_chars(answer + kStatusAt, answer + kStatusAt + 3, status);
    poller_.remove(warmup_.get());
    warmup_.reset();
    warmup_status_ = status;
    resume_listeners();
    // The runner says that it is ready.
    if (options_.runner_fd < 0) return wakeup_.ring();
    os::ring(options_.runner_fd);
}

int Engine::warmup_status() {
    Lock lock(mutex_);
    return warmup_ ? -1 : warmup_status_;
}

}  // namespace mono::engine
