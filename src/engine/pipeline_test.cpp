// What one client pipelines costs neither stack nor the others' turns: probes, requests, refusals
// and WebSocket frames, by the megabyte, on a thread with a small stack.
#include <pthread.h>

#include <functional>

#include "engine/support_test.hpp"

namespace mono::engine {
namespace {

constexpr size_t kStackBytes = 256 * 1024;
constexpr size_t kFloodBytes = 12 << 20;
constexpr std::string_view kProbe =
    "GET /ready HTTP/1.1\r\nHost: a\r\nUser-Agent: kube-probe/1.31\r\nAccept: */*\r\n"
    "Connection: keep-alive\r\nX-Padding: 0123456789abcdef\r\n\r\n";
constexpr std::string_view kGet = "GET /small HTTP/1.1\r\nHost: a\r\n\r\n";
constexpr std::string_view kHead = "HTTP/1.1 101 Switching Protocols\r\n\r\n";

std::string repeated(std::string_view text, size_t bytes) {
    std::string all;
    while (all.size() + text.size() <= bytes) all += text;
    return all;
}

size_t count_of(std::string_view text, std::string_view word) {
    size_t count = 0;
    for (size_t at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1))
        ++count;
    return count;
}

// Runs `turn` again and again on a thread with a small stack.
class SmallStack {
  public:
    explicit SmallStack(std::function<void()> turn) : turn_(std::move(turn)) {
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        EXPECT_EQ(pthread_attr_setstacksize(&attributes, kStackBytes), 0);
        EXPECT_EQ(pthread_create(&thread_, &attributes, run, this), 0);
        pthread_attr_destroy(&attributes);
    }
    ~SmallStack() {
        stop_.store(true);
        pthread_join(thread_, nullptr);
    }
    SmallStack(const SmallStack&) = delete;
    SmallStack& operator=(const SmallStack&) = delete;

  private:
    static void* run(void* self) {
        auto& mine = *static_cast<SmallStack*>(self);
        while (!mine.stop_.load()) mine.turn_();
        return nullptr;
    }

    std::function<void()> turn_;
    std::atomic<bool> stop_{false};
    pthread_t thread_{};
};

// Sends as the kernel takes it and reads as it comes, and asks `other` for something in the middle
// of it. A word that stands once in each answer counts them.
class Flood {
  public:
    Flood(std::string stream, std::string_view counted) : bytes(std::move(stream)), word(counted) {}

    std::string bytes;
    std::string_view word;
    size_t answers = 0;
    size_t answers_before_other = SIZE_MAX;  // when the other client had its answer
    bool ended = false;                      // by the server

    void run(Client& client, Client& other, size_t wanted) {
        size_t sent = 0;
        std::string tail;
        const int64_t end_ms = base::monotonic_ms() + 5 * kPatienceMs;
        while (answers < wanted && !ended && base::monotonic_ms() < end_ms) {
            const short wish = sent < bytes.size() ? POLLIN | POLLOUT : POLLIN;
            pollfd waited{client.fd(), wish, 0};
            poll(&waited, 1, 100);
            if ((waited.revents & POLLOUT) != 0) send_some(client, sent);
            if ((waited.revents & (POLLIN | POLLHUP | POLLERR)) != 0) read_some(client, tail);
            if (!asked_ && answers != 0) {
                asked_ = true;
                other.get("/other");
            }
            if (asked_ && answers_before_other == SIZE_MAX) {
                while (other.receive(0)) {
                }
                if (other.unread().find("\r\n\r\n") != std::string::npos)
                    answers_before_other = answers;
            }
        }
    }

  private:
    void send_some(Client& client, size_t& sent) {
        const ssize_t got = ::send(client.fd(), bytes.data() + sent, bytes.size() - sent,
                                   MSG_NOSIGNAL | MSG_DONTWAIT);
        if (got > 0) sent += static_cast<size_t>(got);
    }
    void read_some(Client& client, std::string& tail) {
        std::vector<char> piece(256 * 1024);
        const ssize_t got = recv(client.fd(), piece.data(), piece.size(), MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN)) ended = true;
        if (got <= 0) return;
        tail.append(piece.data(), static_cast<size_t>(got));
        answers += count_of(tail, word);
        const size_t last = tail.rfind(word);
        tail.erase(0, last == std::string::npos ? tail.size() - std::min(tail.size(), word.size())
                                                : last + word.size());
    }

    bool asked_ = false;
};

// What a sync worker does.
void serve(Server& server) {
    session::Exchange* exchange = server.turn(20);
    if (exchange != nullptr) respond(server.engine(), *exchange, "ok");
}

// So many bytes of one request are all answered, and another client in the middle of them.
void expect_all_answered(Server& server, std::string_view one, size_t bytes) {
    Client client = server.client();
    Client other = server.client();
    Flood flood{repeated(one, bytes), "HTTP/1.1 200"};
    const size_t requests = flood.bytes.size() / one.size();
    {
        SmallStack worker([&server] { serve(server); });
        flood.run(client, other, requests);
    }
    EXPECT_EQ(flood.answers, requests);
    EXPECT_LT(flood.answers_before_other, requests);
}

TEST(Pipeline, ProbesTakeNoStackAndNobodysTurn) {
    Options options;
    options.limits.readiness_path = "/ready";
    Server server(std::move(options));
    expect_all_answered(server, kProbe, kFloodBytes);
}

TEST(Pipeline, RequestsTakeNoStackAndNobodysTurn) {
    Server server;
    expect_all_answered(server, kGet, kFloodBytes / 8);
}

// One of the pipelined requests is refused when it has waited for too long; the rest is read and
// thrown away.
TEST(Pipeline, ARefusalTakesNoStackAndNobodysTurn) {
    Options options;
    options.limits.readiness_path = "/ready";
    options.limits.queue_ms_max = 1;
    Server server(std::move(options));
    Client client = server.client();
    Client other = server.client();
    Flood flood{repeated(kProbe, 1 << 20) + repeated(kGet, kFloodBytes), "HTTP/1.1"};
    {
        SmallStack worker([&server] {
            base::pace(3, "longer than queue_timeout");
            serve(server);
        });
        flood.run(client, other, SIZE_MAX);
    }
    EXPECT_TRUE(flood.ended);
    EXPECT_LT(flood.answers_before_other, SIZE_MAX);
}

// A turn ends after a few answers; what is left is reported by the descriptor at once.
TEST(Pipeline, OneTurnAnswersAFewAndTheNextComesWithoutAWait) {
    constexpr size_t kProbes = 300;
    constexpr size_t kAFew = 40;
    Options options = nested(true);
    options.limits.readiness_path = "/ready";
    Server server(std::move(options));
    Client client = server.client();
    Client other = server.client();
    ASSERT_TRUE(client.send(repeated(kProbe, kProbes * kProbe.size())));
    other.get("/other");
    bool found = false;
    size_t answers = 0;
    while (answers < kProbes) {
        pollfd waited{server->fileno(), POLLIN, 0};
        ASSERT_EQ(poll(&waited, 1, 0), 1) << "after " << answers;
        Turn turn;
        server->turn(turn);
        found |= !turn.ready.empty();
        for (session::Exchange* exchange : turn.ready) respond(server.engine(), *exchange, "ok");
        while (client.receive(0)) {
        }
        const size_t now = count_of(client.unread(), "HTTP/1.1 200");
        EXPECT_LE(now - answers, kAFew);
        answers = now;
        EXPECT_TRUE(found);
    }
    EXPECT_TRUE(other.wait_for("ok"));
}

// A client's frame with a mask of zeros.
std::string frame(uint8_t first, std::string_view payload) {
    std::string bytes = {static_cast<char>(first), static_cast<char>(0x80 | payload.size())};
    return bytes.append(4, '\0').append(payload);
}

// An engine with a WebSocket whose application echoes, and any number of plain requests.
class Sockets {
  public:
    explicit Sockets(std::string_view first) : server_(nested(true)), client_(server_.client()) {
        EXPECT_TRUE(client_.send("GET /socket HTTP/1.1\r\nHost: a\r\n\r\n" + std::string(first)));
    }
    ~Sockets() {
        if (socket_ != nullptr) server_->finish(*socket_);
    }
    void turn() {
        pollfd waited{server_->fileno(), POLLIN, 0};
        poll(&waited, 1, 20);
        Turn turn;
        server_->turn(turn);
        for (session::Exchange* exchange : turn.ready) {
            if (target_of(*exchange) == "/other") {
                respond(server_.engine(), *exchange, "ok");
            } else {
                server_->upgrade(*exchange, kHead, std::nullopt);
                socket_ = exchange;
            }
        }
        session::SocketMessage message;
        for (int i = 0; i < 64 && socket_ != nullptr; ++i) {
            if (!server_->take_message(*socket_, message)) break;
            server_->send_message(*socket_, {message.data, nullptr}, message.text);
        }
        server_->take_released();
    }
    Server& server() { return server_; }
    Client& client() { return client_; }

  private:
    Server server_;
    Client client_;
    session::Exchange* socket_ = nullptr;
};

void flood_socket(uint8_t opcode, std::string_view answer, size_t bytes) {
    const std::string one = frame(opcode, "x");
    Sockets sockets(repeated(one, 32 * 1024));
    Client other = sockets.server().client();
    Flood flood{repeated(one, bytes), answer};
    const size_t frames = flood.bytes.size() / one.size();
    {
        SmallStack worker([&sockets] { sockets.turn(); });
        flood.run(sockets.client(), other, frames);
    }
    EXPECT_GE(flood.answers, frames);
    EXPECT_LT(flood.answers_before_other, frames);
}

TEST(Pipeline, PingsTakeNoStackAndNobodysTurn) {
    flood_socket(0x89, std::string_view("\x8a\x01x", 3), kFloodBytes);
}

TEST(Pipeline, SmallMessagesTakeNoStackAndNobodysTurn) {
    flood_socket(0x82, std::string_view("\x82\x01x", 3), kFloodBytes / 8);
}

}  // namespace
}  // namespace mono::engine
