// echo_server: an engine with a fixed answer and no Python, on 127.0.0.1. What it spends is what
// the engine spends; conformance tools may talk to it. Ends by a signal.
//
//   echo_server [--port 8000] [--body-bytes 13] [--slots 1] [--threads 1] [--pool 0]
//
// With --pool, one thread drives the engine and hands each request to one of so many others: the
// road not taken, for comparison (docs/adr/0011).
//
// A request with a body gets that body back, any other `body-bytes` bytes. Port 0: any; the chosen
// one is the first line of the output.
#include <charconv>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "engine/engine.hpp"
#include "os/files.hpp"
#include "os/socket.hpp"

namespace mono::tools {
namespace {

struct Arguments {
    uint16_t port = 8000;
    uint32_t body_bytes = 13;
    uint32_t slots = 1;
    uint32_t threads = 1;
    uint32_t pool = 0;
};

constexpr int kOutput = 1;
constexpr int kErrors = 2;

void say(int fd, const std::string& line) {
    [[maybe_unused]] const os::SinkResult result =
        os::write_sink(fd, os::sink_kind(fd), line + "\n");
}

template <class Number>
bool read_number(const char* text, Number& number) {
    const char* end = text + std::strlen(text);
    return std::from_chars(text, end, number).ptr == end && text != end;
}

bool parse(int argc, char** argv, Arguments& arguments) {
    for (int at = 1; at < argc; at += 2) {
        const std::string_view name = argv[at];
        if (at + 1 == argc) return false;
        const char* value = argv[at + 1];
        bool known = false;
        if (name == "--port") known = read_number(value, arguments.port);
        if (name == "--body-bytes") known = read_number(value, arguments.body_bytes);
        if (name == "--slots") known = read_number(value, arguments.slots);
        if (name == "--threads") known = read_number(value, arguments.threads);
        if (name == "--pool") known = read_number(value, arguments.pool);
        if (!known) return false;
    }
    return arguments.slots != 0 && arguments.threads != 0;
}

std::string body_of(const session::Exchange& exchange) {
    std::string body(exchange.body.size(), '\0');
    size_t at = 0;
    while (at < body.size()) {
        const int64_t got =
            exchange.body.read(exchange.bytes.data(), at, {body.data() + at, body.size() - at});
        if (got <= 0) break;
        at += static_cast<size_t>(got);
    }
    return body;
}

void answer(engine::Engine& engine, session::Exchange& exchange, const std::string& fixed) {
    std::string echoed;
    if (exchange.body.size() != 0) echoed = body_of(exchange);
    const std::string& body = exchange.body.size() != 0 ? echoed : fixed;
    // Both are ours: they cannot be invalid.
    [[maybe_unused]] http::HeadFault fault = exchange.response.head.set_status("200 OK");
    fault = exchange.response.head.add("Content-Type", "text/plain");
    [[maybe_unused]] const engine::WriteStatus status =
        engine.write(exchange, {body, nullptr}, static_cast<int64_t>(body.size()), true);
    engine.finish(exchange);
}

// Requests on their way to a pool thread. Shared by all threads, for as long as the process lives.
class HandOver {
  public:
    void put(session::Exchange& exchange) {
        {
            std::lock_guard lock(mutex_);
            waiting_.push_back(&exchange);
        }
        filled_.notify_one();
    }
    session::Exchange& get() {
        std::unique_lock lock(mutex_);
        filled_.wait(lock, [this] { return !waiting_.empty(); });
        session::Exchange* exchange = waiting_.front();
        waiting_.pop_front();
        return *exchange;
    }

  private:
    std::mutex mutex_;
    std::condition_variable filled_;
    std::deque<session::Exchange*> waiting_;
};

template <class Act>
void serve(engine::Engine& engine, Act act) {
    while (true) {
        session::Exchange* exchange = engine.take(1'000, engine.wakes());
        if (exchange != nullptr) act(*exchange);
        if (!engine.needs_attention()) continue;
        for (const engine::JournalEntry& entry : engine.take_journal()) say(kErrors, entry.text);
        engine.take_released();  // nothing was lent
    }
}

int run(const Arguments& arguments) {
    uint16_t port = arguments.port;
    os::Fd listener = os::listen_loopback(port);
    engine::Options options;
    options.slots = arguments.slots;
    options.server = "echo";
    engine::Engine engine(std::move(options));
    if (!listener || !engine.ok() || !engine.listen(listener.get())) {
        say(kErrors, "cannot listen on 127.0.0.1:" + std::to_string(port));
        return 1;
    }
    say(kOutput, std::to_string(port));
    const std::string fixed(arguments.body_bytes, 'x');
    std::vector<std::thread> others;
    const auto answer_it = [&](session::Exchange& exchange) { answer(engine, exchange, fixed); };
    HandOver hand_over;
    for (uint32_t i = 0; i < arguments.pool; ++i)
        others.emplace_back([&] {
            while (true) answer_it(hand_over.get());
        });
    if (arguments.pool != 0)
        serve(engine, [&](session::Exchange& exchange) { hand_over.put(exchange); });
    for (uint32_t i = 1; i < arguments.threads; ++i)
        others.emplace_back([&] { serve(engine, answer_it); });
    serve(engine, answer_it);
    return 0;
}

}  // namespace
}  // namespace mono::tools

int main(int argc, char** argv) {
    mono::os::ignore_broken_pipes();
    mono::tools::Arguments arguments;
    if (mono::tools::parse(argc, argv, arguments)) return mono::tools::run(arguments);
    mono::tools::say(
        mono::tools::kErrors,
        "usage: echo_server [--port N] [--body-bytes N] [--slots N] [--threads N] [--pool N]");
    return 2;
}
