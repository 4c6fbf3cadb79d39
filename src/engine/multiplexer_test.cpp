// HTTP/2 over a real socket, by prior knowledge: streams as links, what becomes of them when their
// connection or its peer goes, and a drain.
#include "engine/multiplexer.hpp"

#include <string>
#include <vector>

#include "engine/support_test.hpp"
#include "http2/preface.hpp"

namespace mono::engine {
namespace {

constexpr uint8_t kData = 0, kHeaders = 1, kReset = 3, kSettings = 4, kGoAway = 7;
constexpr uint8_t kEndStream = 1, kEndHeaders = 4;

std::string frame(uint8_t type, uint8_t flags, uint32_t stream, const std::string& payload) {
    const size_t size = payload.size();
    std::string bytes = {static_cast<char>(size >> 16), static_cast<char>(size >> 8),
                         static_cast<char>(size), static_cast<char>(type),
                         static_cast<char>(flags)};
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(stream >> shift);
    return bytes + payload;
}

// GET / of http://a, or a POST whose length is not told.
std::string get(uint32_t stream) {
    return frame(kHeaders, kEndStream | kEndHeaders, stream,
                 "\x82\x86\x84\x01\x01"
                 "a");
}
std::string post(uint32_t stream) {
    return frame(kHeaders, kEndHeaders, stream,
                 "\x83\x86\x84\x01\x01"
                 "a");
}

struct Frame {
    uint8_t type = 0;
    uint8_t flags = 0;
    uint32_t stream = 0;
    std::string payload;
};

class MultiplexerTest : public testing::Test {
  protected:
    static Options options() {
        Options options;
        options.slots = 4;
        options.opening.http2_cleartext = true;
        options.opening.http2 = http2::make_session;
        options.limits.trust.forwarded_allow_ips =
            std::move(http::NetworkSet::parse({"127.0.0.1"}).value());
        return options;
    }
    void begin() {
        EXPECT_TRUE(client_.send(std::string(http2::kPreface) + frame(kSettings, 0, 0, "")));
    }
    // The next frame of that type; nullopt when none comes.
    std::optional<Frame> next(uint8_t type) {
        while (true) {
            while (bytes_.size() < 9) {
                if (!more()) return std::nullopt;
            }
            const size_t size = byte(0) << 16 | byte(1) << 8 | byte(2);
            while (bytes_.size() < 9 + size) {
                if (!more()) return std::nullopt;
            }
            Frame found{
                static_cast<uint8_t>(byte(3)), static_cast<uint8_t>(byte(4)),
                static_cast<uint32_t>(byte(5) << 24 | byte(6) << 16 | byte(7) << 8 | byte(8)),
                bytes_.substr(9, size)};
            bytes_.erase(0, 9 + size);
            if (found.type == type) return found;
        }
    }
    // What the engine does meanwhile is a runner's turn.
    bool more() {
        const int64_t end_ms = base::monotonic_ms() + kPatienceMs;
        while (base::monotonic_ms() < end_ms) {
            if (client_.receive(0)) {
                bytes_ += client_.take();
                return true;
            }
            if (client_.ended()) return false;
            EXPECT_EQ(server_.turn(5), nullptr) << "an unexpected request";
        }
        return false;
    }
    size_t byte(size_t at) const { return static_cast<unsigned char>(bytes_[at]); }

    Server server_{options()};
    Client client_ = server_.client();
    std::string bytes_;
};

TEST_F(MultiplexerTest, AStreamIsARequest) {
    begin();
    EXPECT_TRUE(client_.send(get(1)));
    session::Exchange* exchange = server_.take();
    ASSERT_NE(exchange, nullptr);
    EXPECT_EQ(target_of(*exchange), "/");
    EXPECT_EQ(exchange->head.version_major, 2);
    respond(server_.engine(), *exchange, "hello");
    ASSERT_TRUE(next(kHeaders));
    const std::optional<Frame> data = next(kData);
    ASSERT_TRUE(data);
    EXPECT_EQ(data->payload, "hello");
    EXPECT_EQ(data->flags & kEndStream, kEndStream);
}

TEST_F(MultiplexerTest, StreamsAreAnsweredInAnyOrder) {
    begin();
    EXPECT_TRUE(client_.send(get(1) + get(3)));
    session::Exchange* first = server_.take();
    session::Exchange* second = server_.take();
    ASSERT_NE(first, nullptr);
    ASSERT_NE(second, nullptr);
    respond(server_.engine(), *second, "second");
    EXPECT_EQ(next(kData).value_or(Frame{}).stream, 3u);
    respond(server_.engine(), *first, "first");
    EXPECT_EQ(next(kData).value_or(Frame{}).stream, 1u);
}

TEST_F(MultiplexerTest, ABodyOfUnknownLengthEndsWithItsStream) {
    begin();
    EXPECT_TRUE(client_.send(post(1) + frame(kData, 0, 1, "one ")));
    EXPECT_EQ(server_.turn(5), nullptr);
    EXPECT_TRUE(client_.send(frame(kData, kEndStream, 1, "two")));
    session::Exchange* exchange = server_.take();
    ASSERT_NE(exchange, nullptr);
    EXPECT_EQ(body_of(*exchange), "one two");
    for (const http::Field& field : exchange->head.fields)
        EXPECT_NE(field.known, http::KnownField::kTransferEncoding);
    respond(server_.engine(), *exchange, "");
    EXPECT_TRUE(next(kHeaders));
}

TEST_F(MultiplexerTest, AStreamThatIsResetIsAClientThatLeft) {
    begin();
    EXPECT_TRUE(client_.send(get(1)));
    session::Exchange* exchange = server_.take();
    ASSERT_NE(exchange, nullptr);
    EXPECT_TRUE(client_.send(frame(kReset, 0, 1, std::string("\0\0\0\x08", 4))));
    EXPECT_TRUE(server_.turn_until([&] { return server_->gone(*exchange); }));
    respond(server_.engine(), *exchange, "nobody");
    EXPECT_TRUE(client_.send(get(3)));
    EXPECT_NE(exchange = server_.take(), nullptr);
    respond(server_.engine(), *exchange, "goes on");
    EXPECT_EQ(next(kData).value_or(Frame{}).payload, "goes on");
}

TEST_F(MultiplexerTest, StreamsEndWithTheirConnection) {
    begin();
    EXPECT_TRUE(client_.send(get(1) + get(3) + post(5)));
    session::Exchange* running = server_.take();
    ASSERT_NE(running, nullptr);
    client_.reset();
    EXPECT_TRUE(eventually([&] {
        server_->wake();
        session::Exchange* other = server_.turn(5);
        if (other != nullptr) respond(server_.engine(), *other, "nobody");
        return server_->gone(*running);
    }));
    respond(server_.engine(), *running, "nobody");
}

TEST_F(MultiplexerTest, AnEngineThatEndsTakesStreamsAlong) {
    begin();
    EXPECT_TRUE(client_.send(get(1) + get(3)));
    session::Exchange* running = server_.take();
    ASSERT_NE(running, nullptr);
    server_->abandon(*running);
    server_.destroy();
    EXPECT_NE(client_.end(), Client::End::kOpen);
}

TEST_F(MultiplexerTest, ADrainServesWhatIsHereAndSaysGoAway) {
    begin();
    EXPECT_TRUE(client_.send(get(1)));
    session::Exchange* exchange = server_.take();
    ASSERT_NE(exchange, nullptr);
    server_->drain(true);
    ASSERT_TRUE(next(kGoAway));
    respond(server_.engine(), *exchange, "served");
    EXPECT_EQ(next(kData).value_or(Frame{}).payload, "served");
}

}  // namespace
}  // namespace mono::engine
