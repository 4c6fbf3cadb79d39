// WebSockets in a nested engine: what the application gets, and when the peer hears of its fault.
// The protocol itself is tested in websocket/websocket_test.cpp and tests/vectors/ws.
#include <semaphore.h>
#include <sys/mman.h>

#include "engine/support_test.hpp"

namespace mono::engine {
namespace {

constexpr std::string_view kHead = "HTTP/1.1 101 Switching Protocols\r\n\r\n";

// A client's whole frame with a mask of zeros; `first` holds FIN and the opcode.
std::string frame(uint8_t first, std::string_view payload) {
    std::string bytes = {static_cast<char>(first), static_cast<char>(0x80 | payload.size())};
    return bytes.append(4, '\0').append(payload);
}

std::string text(std::string_view payload) { return frame(0x81, payload); }

std::string bad_frame() { return frame(0x83, ""); }  // a reserved opcode

std::string echo(std::string_view payload) {
    return std::string("\x81").append(1, static_cast<char>(payload.size())).append(payload);
}

class EngineWebSocket : public testing::Test {
  protected:
    ~EngineWebSocket() override {
        if (exchange != nullptr) server->engine().finish(*exchange);
    }
    // Leaves an upgraded exchange; `early` comes in one piece with the opening handshake.
    void open(const std::string& early = "") {
        Options options = nested(true);
        options.websocket = limits;
        server.emplace(std::move(options));
        loop.emplace(server->engine());
        client.emplace(server->client());
        ASSERT_TRUE(client->send("GET / HTTP/1.1\r\nHost: a\r\n\r\n" + early));
        exchange = loop->next();
        ASSERT_NE(exchange, nullptr);
        server->engine().upgrade(*exchange, kHead, deflate);
        ASSERT_NE(exchange->inbox, nullptr);
    }
    // Bytes that begin with a message. They are sent in one piece, so that with the message all of
    // them have arrived, as far as the engine wants to read.
    void arrive(const std::string& bytes) {
        ASSERT_TRUE(client->send(bytes));
        ASSERT_TRUE(loop->run_until([&] { return loop->saw(EventKind::kBody); }));
    }
    // What an application's receive() comes to; "" where it would have to wait.
    std::string receive() {
        session::SocketMessage message;
        if (server->engine().take_message(*exchange, message)) return message.data;
        return exchange->inbox->ended ? "ended" : "";
    }
    void answer(std::string_view message) {
        EXPECT_EQ(server->engine().send_message(*exchange, {message, nullptr}, true),
                  WriteStatus::kDone);
    }
    void leave() { server->engine().finish(*std::exchange(exchange, nullptr)); }
    // All that the server said behind its head, until the end, which must not be a reset.
    std::string said(bool hang_up = true) {
        if (hang_up) client->finish_sending();
        EXPECT_TRUE(
            loop->run_until([&] { return server->engine().connections() == 0; }, kPatienceMs, 10));
        const std::string bytes = client->read_all();
        EXPECT_EQ(client->end(), Client::End::kFin);
        EXPECT_TRUE(bytes.starts_with(kHead));
        return bytes.substr(kHead.size());
    }
    static bool is_protocol_error(std::string_view close) {
        return close.size() > 4 && close.starts_with("\x88") && close.substr(2, 2) == "\x03\xEA";
    }

    websocket::WebSocketLimits limits;
    std::optional<websocket::DeflateParams> deflate;
    std::optional<Server> server;
    std::optional<Loop> loop;
    std::optional<Client> client;
    session::Exchange* exchange = nullptr;
};

TEST_F(EngineWebSocket, WhatCameBeforeAFaultIsAnsweredFirst) {
    open();
    arrive(text("one") + text("two") + bad_frame());
    for (const std::string_view message : {"one", "two"}) {
        EXPECT_EQ(receive(), message);
        answer(message);
    }
    EXPECT_EQ(receive(), "ended");
    EXPECT_EQ(exchange->inbox->end.fault, websocket::Fault::kReservedOpcode);
    const std::string bytes = said();
    EXPECT_TRUE(bytes.starts_with(echo("one") + echo("two"))) << bytes;
    EXPECT_TRUE(is_protocol_error(bytes.substr(10))) << bytes;
}

// Closing a descriptor with unread bytes is a reset, which takes the Close with it.
TEST_F(EngineWebSocket, WhatComesBehindAFaultIsReadAndThrownAway) {
    open();
    arrive(text("one") + bad_frame() + std::string(300'000, 'x'));
    int turns = 0;  // no edge is left in the poller
    EXPECT_TRUE(loop->run_until([&] { return ++turns == 10; }, kPatienceMs, 10));
    EXPECT_EQ(receive(), "one");
    EXPECT_EQ(receive(), "ended");
    EXPECT_TRUE(is_protocol_error(said(false)));
}

TEST_F(EngineWebSocket, AFaultRightBehindTheHandshakeWaitsToo) {
    open(text("one") + bad_frame());
    EXPECT_EQ(receive(), "one");
    answer("one");
    EXPECT_EQ(receive(), "ended");
    const std::string bytes = said();
    EXPECT_TRUE(bytes.starts_with(echo("one"))) << bytes;
    EXPECT_TRUE(is_protocol_error(bytes.substr(5))) << bytes;
}

TEST_F(EngineWebSocket, AFaultThatIsAwaitedIsToldAtOnce) {
    limits.close_ms_max = 0;  // no deadline comes to its help
    open();
    EXPECT_EQ(receive(), "");
    ASSERT_TRUE(client->send(bad_frame()));
    EXPECT_TRUE(loop->run_until([&] { return exchange->inbox->ended; }));
    EXPECT_EQ(receive(), "ended");
    EXPECT_TRUE(is_protocol_error(said()));
}

TEST_F(EngineWebSocket, AFaultBehindAFullInboxWaitsForAllOfIt) {
    open();
    std::string bytes;
    std::string wanted;
    for (int number = 0; number < 100; ++number) {
        bytes += text(std::to_string(number));
        wanted += echo(std::to_string(number));
    }
    arrive(bytes + bad_frame());
    for (int number = 0; number < 100; ++number) {
        EXPECT_EQ(receive(), std::to_string(number));
        answer(std::to_string(number));
    }
    EXPECT_EQ(receive(), "ended");
    bytes = said();
    EXPECT_TRUE(bytes.starts_with(wanted));
    EXPECT_TRUE(is_protocol_error(bytes.substr(wanted.size())));
}

// Memory at whose second half whoever reads it is stopped until it may go on: so a test is in the
// middle of that at its leisure.
class Stile {
  public:
    static constexpr size_t kHalf = 1 << 20;

    Stile() {
        sem_init(&reached_, 0, 0);
        sem_init(&open_, 0, 0);
        bytes_ = static_cast<char*>(
            mmap(nullptr, 2 * kHalf, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        for (size_t at = 0; at < 2 * kHalf; ++at) bytes_[at] = static_cast<char>(at * at >> 7);
        mprotect(bytes_ + kHalf, kHalf, PROT_NONE);
        here_ = this;
        struct sigaction action {};
        action.sa_handler = [](int) { here_->stop(); };
        sigaction(SIGSEGV, &action, &before_);
    }
    ~Stile() {
        sigaction(SIGSEGV, &before_, nullptr);
        munmap(bytes_, 2 * kHalf);
    }
    Stile(const Stile&) = delete;
    Stile& operator=(const Stile&) = delete;

    std::string_view bytes() const { return {bytes_, 2 * kHalf}; }
    void wait_until_reached() { sem_wait(&reached_); }
    void open() { sem_post(&open_); }
    bool given_up = false;  // nobody opened it

  private:
    void stop() {
        sem_post(&reached_);
        timespec end{};
        clock_gettime(CLOCK_REALTIME, &end);
        end.tv_sec += kPatienceMs / 1'000;
        given_up = sem_timedwait(&open_, &end) != 0;
        mprotect(bytes_ + kHalf, kHalf, PROT_READ);
    }

    static inline Stile* here_ = nullptr;
    char* bytes_ = nullptr;
    sem_t reached_, open_;
    struct sigaction before_ {};
};

TEST_F(EngineWebSocket, NobodyWaitsForALargeMessageThatIsCompressed) {
    deflate.emplace();
    open();
    Stile stile;
    std::thread sender([&] {
        EXPECT_EQ(server->engine().send_message(*exchange, {stile.bytes(), nullptr}, false),
                  WriteStatus::kDone);
    });
    stile.wait_until_reached();
    EXPECT_EQ(server->engine().connections(), 1u);  // takes the lock
    stile.open();
    sender.join();
    EXPECT_FALSE(stile.given_up);
    EXPECT_TRUE(client->wait_for("\xC2"));  // binary, compressed
}

TEST_F(EngineWebSocket, AClientThatLeavesMeanwhileTakesTheMessageAlong) {
    deflate.emplace();
    open();
    Stile stile;
    std::thread sender([&] {
        EXPECT_EQ(server->engine().send_message(*exchange, {stile.bytes(), nullptr}, false),
                  WriteStatus::kGone);
    });
    stile.wait_until_reached();
    client->reset();
    EXPECT_TRUE(loop->run_until([&] { return server->engine().connections() == 0; }));
    stile.open();
    sender.join();
    EXPECT_FALSE(stile.given_up);
}

TEST_F(EngineWebSocket, WhoFilledTheInboxAndIsSilentIsPinged) {
    limits.ping_interval_ms = 20;
    open();
    std::string bytes;
    for (int number = 0; number < 32; ++number) bytes += text("x");
    arrive(bytes);
    EXPECT_TRUE(exchange->inbox->full());
    while (receive() == "x") {
    }
    const std::string_view ping("\x89\0", 2);
    EXPECT_TRUE(loop->run_until(
        [&] {
            client->receive(0);
            return client->unread().find(ping) != std::string::npos;
        },
        kPatienceMs, 10));
}

TEST_F(EngineWebSocket, AnApplicationThatNeverAsksDoesNotHoldAFault) {
    limits.close_ms_max = 20;
    open();
    arrive(text("one") + bad_frame());
    EXPECT_TRUE(loop->run_until([&] { return exchange->inbox->ended; }, kPatienceMs, 10));
    EXPECT_TRUE(is_protocol_error(said()));
    EXPECT_EQ(receive(), "one");  // it keeps what it has
    EXPECT_EQ(receive(), "ended");
}

TEST_F(EngineWebSocket, AnApplicationThatLeavesTellsOfTheFault) {
    limits.close_ms_max = 0;
    open();
    arrive(text("one") + bad_frame());
    server->engine().close_socket(*exchange, websocket::kNormal, "bye");
    EXPECT_TRUE(exchange->inbox->ended);
    leave();
    EXPECT_TRUE(is_protocol_error(said()));
}

TEST_F(EngineWebSocket, ADrainDoesNotWaitForAFaultToBeAskedFor) {
    limits.close_ms_max = 0;
    open();
    arrive(text("one") + bad_frame());
    server->engine().drain(false);
    EXPECT_TRUE(loop->run_until([&] { return exchange->inbox->ended; }, kPatienceMs, 10));
    leave();
    EXPECT_TRUE(is_protocol_error(said()));
    EXPECT_TRUE(server->engine().drained());
}

TEST_F(EngineWebSocket, ADrainTellsSocketsBesideWhateverElseRuns) {
    limits.close_ms_max = 100;
    open();
    Client other = server->client();
    other.get("/");
    session::Exchange* running = loop->next();
    ASSERT_NE(running, nullptr);
    server->engine().drain(false);
    EXPECT_TRUE(loop->run_until([&] { return exchange->inbox->ended; }, kPatienceMs, 10));
    leave();
    respond(server->engine(), *running, "ok");
    EXPECT_EQ(other.response(), "ok");
    const std::string bytes = client->read_all();
    EXPECT_NE(bytes.find("\x03\xF4"), std::string::npos) << "1012";
}

TEST_F(EngineWebSocket, AClientThatVanishesBehindItsFaultIsNoticed) {
    limits.close_ms_max = 0;
    open();
    arrive(text("one") + bad_frame());
    client->reset();
    EXPECT_TRUE(loop->run_until([&] { return loop->saw(EventKind::kGone); }));
    EXPECT_EQ(receive(), "one");
    EXPECT_EQ(receive(), "");
}

}  // namespace
}  // namespace mono::engine
