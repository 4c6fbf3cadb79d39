// What the tests of the engine share: a listening socket, an engine behind it, clients that speak
// to it over real sockets, and bounded waits. Each test owns one Server; clients may live in any
// thread.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.hpp"
#include "base/patience_test.hpp"
#include "engine/engine.hpp"
#include "os/fd.hpp"
#include "os/shm.hpp"

namespace mono::engine {

using base::eventually;
using base::kPatienceMs;

inline size_t open_fds() {
    size_t count = 0;
    std::error_code ignored;
    for ([[maybe_unused]] const auto& entry :
         std::filesystem::directory_iterator("/proc/self/fd", ignored))
        ++count;
    return count;
}

// Descriptors of unnamed files: spills.
inline size_t open_spills() {
    size_t count = 0;
    std::error_code ignored;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", ignored)) {
        std::error_code gone;
        const std::string path = std::filesystem::read_symlink(entry.path(), gone).string();
        if (path.ends_with("(deleted)") || path.starts_with("/memfd:monoceros")) ++count;
    }
    return count;
}

// Files do not grow any more: what a full disk says, of whatever file system.
class FullDisk {
  public:
    FullDisk() {
        std::signal(SIGXFSZ, SIG_IGN);
        getrlimit(RLIMIT_FSIZE, &before_);
        const rlimit none{0, before_.rlim_max};
        setrlimit(RLIMIT_FSIZE, &none);
    }
    ~FullDisk() { setrlimit(RLIMIT_FSIZE, &before_); }
    FullDisk(const FullDisk&) = delete;
    FullDisk& operator=(const FullDisk&) = delete;

  private:
    rlimit before_{};
};

inline int64_t cpu_ms() {
    timespec spent{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &spent);
    return spent.tv_sec * 1'000 + spent.tv_nsec / 1'000'000;
}

class Client {
  public:
    enum class End { kOpen, kFin, kReset };

    explicit Client(uint16_t port, int receive_buffer = 0) {
        fd_.reset(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (receive_buffer != 0)
            setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
        const int on = 1;
        setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(port);
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        connected_ = connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
    }
    bool connected() const { return connected_; }
    int fd() const { return fd_.get(); }

    bool send(std::string_view bytes) {
        while (!bytes.empty()) {
            const ssize_t sent = ::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (sent <= 0) return false;
            bytes.remove_prefix(static_cast<size_t>(sent));
        }
        return true;
    }
    void get(const std::string& path, const std::string& fields = "") {
        EXPECT_TRUE(send("GET " + path + " HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n"));
    }
    void finish_sending() { shutdown(fd_.get(), SHUT_WR); }
    void close() { fd_.reset(); }
    void reset() {
        const linger now{1, 0};
        setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
        fd_.reset();
    }

    // Reads once, at most `patience_ms`; false when nothing came.
    bool receive(int patience_ms = kPatienceMs) {
        if (end_ != End::kOpen) return false;
        pollfd waited{fd_.get(), POLLIN, 0};
        if (poll(&waited, 1, patience_ms) != 1) return false;
        char piece[65536];
        const ssize_t got = recv(fd_.get(), piece, sizeof piece, 0);
        if (got > 0) {
            buffer_.append(piece, static_cast<size_t>(got));
            return true;
        }
        end_ = got == 0 ? End::kFin : End::kReset;
        return false;
    }
    // Until `text` has come.
    bool wait_for(std::string_view text, int patience_ms = kPatienceMs) {
        while (buffer_.find(text) == std::string::npos)
            if (!receive(patience_ms)) return false;
        return true;
    }
    // Everything until the server ends the connection.
    std::string read_all() {
        while (receive()) {
        }
        return std::exchange(buffer_, {});
    }
    // One response with Content-Length or in chunks: its body; nullopt when it does not come.
    std::optional<std::string> response() {
        if (!wait_for("\r\n\r\n")) return std::nullopt;
        const size_t head_end = buffer_.find("\r\n\r\n") + 4;
        head = buffer_.substr(0, head_end);
        buffer_.erase(0, head_end);
        if (head.find("Transfer-Encoding: chunked") != std::string::npos) return chunks();
        const size_t at = head.find("Content-Length: ");
        if (at == std::string::npos) return "";
        const size_t length = std::strtoul(head.c_str() + at + 16, nullptr, 10);
        while (buffer_.size() < length)
            if (!receive()) return std::nullopt;
        std::string body = buffer_.substr(0, length);
        buffer_.erase(0, length);
        return body;
    }
    int status() const { return head.size() < 12 ? 0 : std::atoi(head.c_str() + 9); }
    End end() {
        while (receive()) {
        }
        return end_;
    }
    const std::string& unread() const { return buffer_; }
    std::string take() { return std::exchange(buffer_, {}); }
    bool ended() const { return end_ != End::kOpen; }

    std::string head;  // of the last response()

  private:
    std::optional<std::string> chunks() {
        std::string body;
        while (true) {
            while (buffer_.find("\r\n") == std::string::npos)
                if (!receive()) return std::nullopt;
            const size_t line = buffer_.find("\r\n") + 2;
            const size_t size = std::strtoul(buffer_.c_str(), nullptr, 16);
            while (buffer_.size() < line + size + 2)
                if (!receive()) return std::nullopt;
            body += buffer_.substr(line, size);
            buffer_.erase(0, line + size + 2);
            if (size == 0) return body;
        }
    }

    os::Fd fd_;
    bool connected_ = false;
    std::string buffer_;
    End end_ = End::kOpen;
};

class Server {
  public:
    explicit Server(Options options = {}, int send_buffer = 0) {
        std::signal(SIGPIPE, SIG_IGN);  // sendfile(2) knows no MSG_NOSIGNAL
        open_listener(send_buffer);
        engine_ = std::make_unique<Engine>(std::move(options));
        EXPECT_TRUE(engine_->ok());
        EXPECT_TRUE(engine_->listen(listener_.get()));
    }
    Engine& engine() { return *engine_; }
    Engine* operator->() { return engine_.get(); }
    uint16_t port() const { return port_; }
    int listener() const { return listener_.get(); }
    Client client(int receive_buffer = 0) const { return Client(port_, receive_buffer); }
    void destroy() { engine_.reset(); }

    // The next request, within the tests' patience.
    session::Exchange* take(int patience_ms = kPatienceMs) {
        const int64_t end_ms = base::monotonic_ms() + patience_ms;
        while (base::monotonic_ms() < end_ms)
            if (session::Exchange* exchange = turn(20)) return exchange;
        return nullptr;
    }
    // One call of take(), and what a runner does beside it.
    session::Exchange* turn(int timeout_ms) {
        const uint64_t wakes = engine_->wakes();
        session::Exchange* exchange = engine_->try_take();
        if (exchange == nullptr) exchange = engine_->take(timeout_ms, wakes);
        if (engine_->needs_attention()) {
            for (JournalEntry& entry : engine_->take_journal()) journal.push_back(std::move(entry));
            for (void* owner : engine_->take_released()) released.push_back(owner);
        }
        return exchange;
    }
    // Rounds in which the engine works without a request, until `holds()`.
    template <class Condition>
    bool turn_until(Condition holds, int patience_ms = kPatienceMs) {
        const int64_t end_ms = base::monotonic_ms() + patience_ms;
        while (!holds()) {
            if (base::monotonic_ms() > end_ms) return false;
            EXPECT_EQ(turn(5), nullptr) << "an unexpected request";
        }
        return true;
    }

    std::vector<JournalEntry> journal;
    std::vector<void*> released;

  private:
    void open_listener(int send_buffer) {
        listener_.reset(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
        const int on = 1;
        setsockopt(listener_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (send_buffer != 0)
            setsockopt(listener_.get(), SOL_SOCKET, SO_SNDBUF, &send_buffer, sizeof send_buffer);
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof address;
        auto* plain = reinterpret_cast<sockaddr*>(&address);
        EXPECT_EQ(bind(listener_.get(), plain, length), 0);
        EXPECT_EQ(::listen(listener_.get(), 512), 0);
        getsockname(listener_.get(), plain, &length);
        port_ = ntohs(address.sin_port);
    }

    os::Fd listener_;
    uint16_t port_ = 0;
    std::unique_ptr<Engine> engine_;
};

// The scoreboard of two workers and the pair over which they hand requests to each other.
class Siblings {
  public:
    Siblings() {
        int ends[2];
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
        sender_.reset(ends[0]);
        receiver_.reset(ends[1]);
        board_.clear(0);
        board_.clear(1);
    }
    Options options(uint32_t slot) {
        Options options;
        options.board = &board_;
        options.board_slot = slot;
        options.relay = relay();
        return options;
    }
    RelayEnds relay() const { return {sender_.get(), receiver_.get()}; }
    board::Scoreboard& board() { return board_; }
    void shrink_queue(int bytes) {
        int half = bytes / 2;  // the kernel doubles it
        EXPECT_EQ(setsockopt(sender_.get(), SOL_SOCKET, SO_SNDBUF, &half, sizeof half), 0);
    }
    int32_t parcels() const { return board_.header().parcels; }

  private:
    os::SharedMemory memory_{board::Scoreboard::bytes(2)};
    board::Scoreboard board_{memory_.data(), 2};
    os::Fd sender_, receiver_;
};

inline std::string target_of(const session::Exchange& exchange) {
    return std::string(exchange.text(exchange.head.target));
}

inline void set_head(session::Exchange& exchange, std::string_view status = "200 OK") {
    EXPECT_EQ(exchange.response.head.set_status(status), http::HeadFault::kNone);
}

// A whole answer of one piece.
inline void respond(Engine& engine, session::Exchange& exchange, std::string_view body) {
    set_head(exchange);
    [[maybe_unused]] const WriteStatus status =
        engine.write(exchange, {body, nullptr}, static_cast<int64_t>(body.size()), true);
    engine.finish(exchange);
}

// Of an engine that an event loop drives by turn(): poll(2) on fileno() in `Loop`.
inline Options nested(bool stream_bodies) {
    Options options;
    options.nested = true;
    options.stream_bodies = stream_bodies;
    options.slots = 1'000;
    return options;
}

// What an event loop does: sleeps on the descriptor, and turns.
class Loop {
  public:
    explicit Loop(Engine& engine) : engine_(engine) {}

    // Until `holds()`. Deadlines are not in the descriptor: a turn every `beat_ms`.
    template <class Condition>
    bool run_until(Condition holds, int patience_ms = kPatienceMs, int beat_ms = 1'000) {
        const int64_t end_ms = base::monotonic_ms() + patience_ms;
        while (!holds()) {
            if (base::monotonic_ms() > end_ms) return false;
            pollfd waited{engine_.fileno(), POLLIN, 0};
            poll(&waited, 1, again_ ? 0 : beat_ms);
            Turn turn;
            engine_.turn(turn);
            again_ = turn.again;
            for (session::Exchange* exchange : turn.ready) ready.push_back(exchange);
            for (const Event& event : turn.events) events.push_back(event);
            engine_.take_journal();
        }
        return true;
    }
    session::Exchange* next() {
        if (!run_until([this] { return !ready.empty(); })) return nullptr;
        session::Exchange* exchange = ready.front();
        ready.erase(ready.begin());
        return exchange;
    }
    bool saw(EventKind kind) const {
        for (const Event& event : events)
            if (event.kind == kind) return true;
        return false;
    }
    // The rest of a streamed body.
    std::string body(session::Exchange& exchange) {
        std::string whole;
        run_until([&] {
            const bool complete = exchange.body_complete;
            base::Buffer taken;
            engine_.take_body(exchange, taken);
            whole += taken.view();
            return complete && taken.empty();
        });
        return whole;
    }

    std::vector<session::Exchange*> ready;
    std::vector<Event> events;

  private:
    Engine& engine_;
    bool again_ = false;
};

// A client whose connection has served one request ("first") and is idle.
inline Client kept_alive(Server& server) {
    Client client = server.client();
    client.get("/first");
    session::Exchange* first = server.take();
    EXPECT_NE(first, nullptr);
    respond(server.engine(), *first, "first");
    EXPECT_EQ(client.response(), "first");
    return client;
}

// The body of a request, wherever it lies.
inline std::string body_of(const session::Exchange& exchange) {
    std::string body;
    std::vector<char> piece(65536);
    while (true) {
        const int64_t got = exchange.body.read(exchange.bytes.data(), body.size(), piece);
        if (got <= 0) return body;
        body.append(piece.data(), static_cast<size_t>(got));
    }
}

// Takes and answers with the request's target until stopped.
class Application {
  public:
    explicit Application(Engine& engine)
        : engine_(engine), thread_([this] {
              while (!stop_.load()) {
                  session::Exchange* exchange = engine_.take(20, engine_.wakes());
                  if (exchange != nullptr) respond(engine_, *exchange, target_of(*exchange));
                  if (engine_.needs_attention()) {
                      engine_.take_journal();
                      engine_.take_released();
                  }
              }
          }) {}
    ~Application() {
        stop_.store(true);
        engine_.wake();
        thread_.join();
    }
    Application(const Application&) = delete;
    Application& operator=(const Application&) = delete;

  private:
    Engine& engine_;
    std::atomic<bool> stop_{false};
    std::thread thread_;
};

}  // namespace mono::engine
