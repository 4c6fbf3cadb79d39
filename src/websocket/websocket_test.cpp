// What the peer may send is covered by tests/vectors/ws; here are what is sent, time and memory.
#include "websocket/websocket.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

namespace mono::websocket {
namespace {

using Event = WebSocket::Event;
using Phase = WebSocket::Phase;
using Sent = WebSocket::Sent;

// A client's frame with the key "abcd"; `first` holds FIN, the reserved bits and the opcode.
std::string frame(uint8_t first, std::string_view payload) {
    std::string out(1, static_cast<char>(first));
    if (payload.size() < 126) {
        out += static_cast<char>(0x80 | payload.size());
    } else {
        out += '\xFE';
        out += static_cast<char>(payload.size() >> 8);
        out += static_cast<char>(payload.size());
    }
    out += "abcd";
    for (size_t at = 0; at < payload.size(); ++at)
        out += static_cast<char>(payload[at] ^ "abcd"[at % 4]);
    return out;
}

class WebSocketTest : public testing::Test {
  protected:
    WebSocketTest() {
        limits.ping_interval_ms = 1'000;
        limits.ping_timeout_ms = 500;
        limits.send_ms_max = 3'000;
        limits.close_ms_max = 2'000;
    }
    WebSocket& open(std::optional<DeflateParams> deflate = std::nullopt) {
        socket.emplace(limits, deflate, out, now_ms);
        return *socket;
    }
    // Feeds bytes; returns what happened, e.g. "text Hello, ended".
    std::string feed(std::string bytes) {
        std::string events;
        size_t used = 0;
        while (true) {
            const WebSocket::Step step =
                socket->next(bytes.data() + used, bytes.size() - used, now_ms);
            used += step.consumed;
            if (step.event == Event::kNeedMore) return events;
            if (!events.empty()) events += ", ";
            if (step.event == Event::kEnded) events += "ended";
            if (step.event == Event::kFault) events += "fault";
            if (step.event == Event::kMessage)
                events.append(step.text ? "text " : "binary ").append(step.data);
        }
    }
    // What is in out, which is taken as sent.
    std::string sent() {
        std::string bytes;
        iovec vectors[16];
        while (const int count = out.gather(vectors, 16)) {
            size_t size = 0;
            for (int at = 0; at < count; ++at) {
                bytes.append(static_cast<const char*>(vectors[at].iov_base), vectors[at].iov_len);
                size += vectors[at].iov_len;
            }
            out.consume(size, released);
        }
        socket->progressed(now_ms);
        return bytes;
    }
    // Lets the time pass to the deadline; what expire() said.
    bool pass() {
        EXPECT_NE(socket->deadline_ms(), WebSocket::kNever);
        now_ms = socket->deadline_ms();
        return socket->expire(now_ms);
    }

    WebSocketLimits limits;
    base::Chain out;
    std::vector<base::Released> released;
    std::optional<WebSocket> socket;
    int64_t now_ms = 10'000;
};

TEST_F(WebSocketTest, AWholeMessageIsNotCopied) {
    open();
    std::string bytes = frame(0x81, "Hello") + frame(0x82, "there");
    WebSocket::Step step = socket->next(bytes.data(), bytes.size(), now_ms);
    EXPECT_EQ(step.event, Event::kMessage);
    EXPECT_EQ(step.data, "Hello");
    EXPECT_EQ(step.data.data(), bytes.data() + 6);
    EXPECT_TRUE(step.text);
    EXPECT_EQ(step.consumed, 11U);  // the second is not touched before it is asked for
    step = socket->next(bytes.data() + 11, bytes.size() - 11, now_ms);
    EXPECT_EQ(step.data, "there");
    EXPECT_FALSE(step.text);
    EXPECT_EQ(socket->next(bytes.data(), 0, now_ms).event, Event::kNeedMore);
}

TEST_F(WebSocketTest, SendsFrames) {
    open();
    EXPECT_EQ(socket->send("Hello", true, nullptr, now_ms), Sent::kCopied);
    EXPECT_EQ(socket->send(std::string(200, 'x'), false, nullptr, now_ms), Sent::kCopied);
    EXPECT_EQ(sent(), std::string("\x81\x05Hello\x82\x7E\x00\xC8", 11) + std::string(200, 'x'));
}

TEST_F(WebSocketTest, LargeMessagesAreSharedWithTheirOwner) {
    open();
    const std::string large(100'000, 'x');
    int owner = 0;
    EXPECT_EQ(socket->send("small", false, &owner, now_ms), Sent::kCopied);
    EXPECT_EQ(socket->send(large, false, &owner, now_ms), Sent::kShared);
    EXPECT_EQ(sent().size(), 7 + 10 + large.size());
    ASSERT_EQ(released.size(), 1U);
    EXPECT_EQ(released[0].owner, &owner);
    EXPECT_EQ(socket->send(large, false, nullptr, now_ms), Sent::kCopied);
}

// It is judged when it is whole: until then it weighs what was sent.
TEST_F(WebSocketTest, AnUnfinishedCompressedMessageStaysPacked) {
    limits.message_bytes_max = 100;
    const std::string corrupt(40, '\xFF');
    open(DeflateParams{});
    EXPECT_EQ(feed(frame(0x42, corrupt)), "");
    EXPECT_EQ(feed(frame(0x00, corrupt)), "");
    EXPECT_EQ(feed(frame(0x80, "")), "fault");
    open(DeflateParams{});
    EXPECT_EQ(feed(frame(0x42, corrupt)), "");
    EXPECT_EQ(feed(frame(0x00, std::string(60, 'x'))), "fault") << "as large as a message may be";
}

TEST_F(WebSocketTest, CompressesFromTheThresholdOn) {
    open(DeflateParams());
    int owner = 0;
    const std::string least(limits.deflate.message_bytes_min, 'x');
    EXPECT_EQ(socket->send(least.substr(1), true, &owner, now_ms), Sent::kCopied);
    EXPECT_EQ(sent()[0], '\x81');
    EXPECT_EQ(socket->send(least, true, &owner, now_ms), Sent::kCopied);
    const std::string packed = sent();
    EXPECT_EQ(packed[0], '\xC1');
    EXPECT_LT(packed.size(), 20U);
    Inflater inflater((DeflateParams()));
    base::Buffer back;
    EXPECT_EQ(inflater.append(packed.substr(2), 1'000, back), Inflater::Result::kOk);
    EXPECT_EQ(inflater.finish(1'000, back), Inflater::Result::kOk);
    EXPECT_EQ(back.view(), least);
    EXPECT_EQ(socket->send(std::string(100'000, 'x'), true, &owner, now_ms), Sent::kCopied);
    sent();
    EXPECT_TRUE(released.empty());
}

// What was freed while the connection was silent is made again.
TEST_F(WebSocketTest, GoesOnCompressingAfterAPing) {
    open(DeflateParams());
    Deflater client((DeflateParams()), DeflateRules());
    Inflater reader((DeflateParams()));
    const std::string message(500, 'm');
    for (int round = 0; round < 3; ++round) {
        base::Buffer packed;
        client.compress(message, packed);
        std::string bytes = frame(0xC1, packed.view());
        const WebSocket::Step step = socket->next(bytes.data(), bytes.size(), now_ms);
        ASSERT_EQ(step.event, Event::kMessage) << round;
        EXPECT_EQ(step.data, message);
        EXPECT_EQ(socket->send(message, true, nullptr, now_ms), Sent::kCopied);
        base::Buffer back;
        EXPECT_EQ(reader.append(sent().substr(2), 1'000, back), Inflater::Result::kOk);
        EXPECT_EQ(reader.finish(1'000, back), Inflater::Result::kOk);
        EXPECT_EQ(back.view(), message);
        now_ms = socket->deadline_ms();
        EXPECT_FALSE(socket->expire(now_ms));
        EXPECT_EQ(sent(), std::string("\x89\0", 2));
    }
}

TEST_F(WebSocketTest, ClosesAndWaitsForThePeer) {
    open();
    socket->close(1001, "going", now_ms);
    EXPECT_EQ(sent(), "\x88\x07\x03\xE9going");
    EXPECT_EQ(socket->phase(), Phase::kClosing);
    EXPECT_EQ(socket->deadline_ms(), now_ms + 2'000);
    EXPECT_EQ(socket->send("late", true, nullptr, now_ms), Sent::kRefused);
    socket->close(1000, "again", now_ms);
    // Messages on their way are not for anybody, pings are not answered.
    EXPECT_EQ(feed(frame(0x81, "\xFF") + frame(0x89, "ping")), "");
    EXPECT_TRUE(out.empty());
    EXPECT_EQ(feed(frame(0x88, "\x03\xE9")), "ended");
    EXPECT_EQ(socket->phase(), Phase::kClosed);
    EXPECT_EQ(socket->end().cause, WebSocketCause::kClosed);
    EXPECT_EQ(socket->end().code, 1001);
    EXPECT_TRUE(out.empty());
}

TEST_F(WebSocketTest, DoesNotWaitForThePeerForEver) {
    open();
    socket->close(1000, "", now_ms);
    sent();
    EXPECT_FALSE(socket->expire(now_ms + 1'999));
    EXPECT_TRUE(pass());
    EXPECT_EQ(socket->end().cause, WebSocketCause::kCloseTimeout);
    EXPECT_EQ(socket->end().code, kAbnormal);
    EXPECT_EQ(socket->phase(), Phase::kClosed);
    EXPECT_FALSE(socket->end_of_input());
}

TEST_F(WebSocketTest, AFaultWhileClosingIsNotAnsweredAgain) {
    open();
    socket->close(1000, "", now_ms);
    sent();
    EXPECT_EQ(feed(frame(0x83, "")), "ended");
    EXPECT_TRUE(out.empty());
    EXPECT_EQ(socket->phase(), Phase::kLinger);
    EXPECT_EQ(socket->end().fault, Fault::kReservedOpcode);
}

TEST_F(WebSocketTest, CodesThatMustNotBeSentAreLeftOut) {
    for (const int number : {0, 1004, 1005, 1006, 1015, 5000}) {
        const auto code = static_cast<uint16_t>(number);
        open();
        socket->close(code, "reason", now_ms);
        EXPECT_EQ(sent(), std::string("\x88\x00", 2)) << code;
    }
}

TEST_F(WebSocketTest, LongReasonsAreCutBetweenCharacters) {
    open();
    socket->close(1000, std::string(122, 'x') + "\xC3\xA4", now_ms);
    EXPECT_EQ(sent(), "\x88\x7C\x03\xE8" + std::string(122, 'x'));
    open();
    socket->close(1000, std::string(121, 'x') + "\xC3\xA4more", now_ms);
    EXPECT_EQ(sent(), "\x88\x7D\x03\xE8" + std::string(121, 'x') + "\xC3\xA4");
}

TEST_F(WebSocketTest, ThePeersCloseIsAnsweredAndThenTheEnd) {
    open();
    EXPECT_EQ(feed(frame(0x88,
                         "\x03\xE9"
                         "bye")),
              "ended");
    EXPECT_EQ(socket->phase(), Phase::kFlush);
    EXPECT_FALSE(socket->wants_bytes());
    EXPECT_EQ(socket->end().reason, "bye");
    EXPECT_FALSE(socket->end_of_input());  // half-closed: it may still read
    EXPECT_EQ(socket->phase(), Phase::kFlush);
    EXPECT_EQ(sent(), "\x88\x02\x03\xE9");
    EXPECT_EQ(socket->phase(), Phase::kClosed);
}

TEST_F(WebSocketTest, AFaultIsToldAndTheRestThrownAway) {
    open();
    EXPECT_EQ(feed(frame(0x83, "") + frame(0x81, "late")), "fault");
    EXPECT_TRUE(socket->fail(now_ms));
    EXPECT_EQ(socket->phase(), Phase::kLinger);
    EXPECT_TRUE(socket->wants_bytes());
    EXPECT_TRUE(sent().starts_with("\x88"));
    EXPECT_EQ(feed(frame(0x81, "late")), "");
    EXPECT_FALSE(pass());  // told already
    EXPECT_EQ(socket->phase(), Phase::kClosed);
}

TEST_F(WebSocketTest, WhatCameBeforeAFaultCanBeAnswered) {
    open();
    EXPECT_EQ(feed(frame(0x81, "good") + frame(0x83, "")), "text good, fault");
    EXPECT_EQ(socket->phase(), Phase::kFaulty);
    EXPECT_FALSE(socket->wants_bytes());
    EXPECT_TRUE(out.empty());
    EXPECT_EQ(socket->send("good", true, nullptr, now_ms), Sent::kCopied);
    EXPECT_TRUE(socket->fail(now_ms));
    EXPECT_FALSE(socket->fail(now_ms));
    const std::string bytes = sent();
    EXPECT_TRUE(bytes.starts_with(std::string("\x81\x04good\x88", 7))) << bytes;
    EXPECT_EQ(socket->end().cause, WebSocketCause::kFault);
}

TEST_F(WebSocketTest, AFaultDoesNotWaitForEver) {
    open();
    EXPECT_EQ(feed(frame(0x83, "")), "fault");
    EXPECT_EQ(socket->deadline_ms(), now_ms + 2'000);
    EXPECT_TRUE(pass());
    EXPECT_EQ(sent().substr(0, 1), "\x88");
    EXPECT_EQ(socket->phase(), Phase::kLinger);
    EXPECT_EQ(socket->end().cause, WebSocketCause::kFault);
}

TEST_F(WebSocketTest, LingeringReadsNoMoreThanABound) {
    open();
    EXPECT_EQ(feed(frame(0x83, "")), "fault");
    EXPECT_TRUE(socket->fail(now_ms));
    const std::string noise(64 * 1024, 'x');
    for (int piece = 0; piece < 20; ++piece) EXPECT_EQ(feed(noise), "");
    EXPECT_EQ(socket->phase(), Phase::kClosed);
}

TEST_F(WebSocketTest, TheEndOfInputIsTheEnd) {
    open();
    EXPECT_TRUE(socket->end_of_input());
    EXPECT_FALSE(socket->end_of_input());
    EXPECT_EQ(socket->end().cause, WebSocketCause::kLost);
    EXPECT_EQ(socket->end().code, kAbnormal);
    EXPECT_EQ(socket->phase(), Phase::kClosed);
    EXPECT_EQ(socket->deadline_ms(), WebSocket::kNever);
}

TEST_F(WebSocketTest, PingsASilentPeerAndGivesItUp) {
    open();
    EXPECT_EQ(socket->deadline_ms(), now_ms + 1'000);
    EXPECT_FALSE(socket->expire(now_ms + 999));
    EXPECT_TRUE(out.empty());
    EXPECT_FALSE(pass());
    EXPECT_EQ(sent(), std::string("\x89\x00", 2));
    EXPECT_EQ(socket->deadline_ms(), now_ms + 500);
    EXPECT_TRUE(pass());
    EXPECT_EQ(socket->end().cause, WebSocketCause::kPingTimeout);
    EXPECT_EQ(socket->end().code, kAbnormal);
    EXPECT_EQ(sent().substr(0, 4), "\x88\x18\x03\xF3");
    EXPECT_EQ(socket->phase(), Phase::kLinger);
}

TEST_F(WebSocketTest, AnyByteIsASignOfLife) {
    open();
    EXPECT_FALSE(pass());
    sent();
    now_ms += 499;
    EXPECT_EQ(feed("\x81"), "");
    EXPECT_EQ(socket->deadline_ms(), now_ms + 1'000);
    EXPECT_FALSE(pass());
    EXPECT_EQ(sent(), std::string("\x89\x00", 2));
}

TEST_F(WebSocketTest, APausedPeerIsNotPinged) {
    open();
    EXPECT_FALSE(pass());
    sent();
    socket->pause(true, now_ms);
    EXPECT_EQ(socket->deadline_ms(), WebSocket::kNever);
    now_ms += 100'000;
    socket->pause(false, now_ms);
    EXPECT_EQ(socket->deadline_ms(), now_ms + 1'000);
}

TEST_F(WebSocketTest, NoPingsWhereNoneAreWanted) {
    limits.ping_interval_ms = 0;
    open();
    EXPECT_EQ(socket->deadline_ms(), WebSocket::kNever);
    limits.ping_interval_ms = 1'000;
    limits.ping_timeout_ms = 0;  // pings, but nobody is given up
    open();
    EXPECT_FALSE(pass());
    sent();
    EXPECT_EQ(socket->deadline_ms(), WebSocket::kNever);
}

TEST_F(WebSocketTest, APeerThatDoesNotReadIsGivenUp) {
    open();
    now_ms += 700;
    EXPECT_EQ(socket->send("Hello", true, nullptr, now_ms), Sent::kCopied);
    EXPECT_EQ(socket->deadline_ms(), now_ms + 3'000);
    now_ms += 2'000;
    EXPECT_EQ(socket->send("more", true, nullptr, now_ms), Sent::kCopied);
    EXPECT_EQ(socket->deadline_ms(), now_ms + 1'000);  // sending is not progress
    out.consume(1, released);
    socket->progressed(now_ms);
    EXPECT_EQ(socket->deadline_ms(), now_ms + 3'000);
    EXPECT_TRUE(pass());
    EXPECT_EQ(socket->end().cause, WebSocketCause::kSendTimeout);
    EXPECT_EQ(socket->phase(), Phase::kClosed);
}

TEST_F(WebSocketTest, APingIsNotOverdueBeforeItHasLeft) {
    open();
    EXPECT_FALSE(pass());  // the ping is in out
    now_ms += 2'000;
    EXPECT_FALSE(socket->expire(now_ms));
    EXPECT_EQ(socket->phase(), Phase::kOpen);
    sent();
    EXPECT_EQ(socket->deadline_ms(), now_ms + 500);
}

TEST_F(WebSocketTest, AFloodOfPingsFillsNoMemory) {
    open();
    const std::string ping = frame(0x89, std::string(125, 'x'));
    for (int count = 0; count < 10'000; ++count) EXPECT_EQ(feed(ping), "");
    EXPECT_EQ(feed(frame(0x89, "latest")), "");
    EXPECT_LT(out.bytes(), 70'000U);
    std::string answers = sent();
    answers += sent();
    EXPECT_TRUE(answers.ends_with(std::string("\x8A\x06latest")));
}

TEST_F(WebSocketTest, NothingFollowsAClose) {
    open();
    const std::string ping = frame(0x89, std::string(125, 'x'));
    for (int count = 0; count < 1'000; ++count) EXPECT_EQ(feed(ping), "");
    socket->close(1000, "", now_ms);
    std::string answers = sent();
    answers += sent();
    EXPECT_TRUE(answers.ends_with("\x88\x02\x03\xE8"));
}

TEST_F(WebSocketTest, ABufferIsUsedForOneMessageOnly) {
    open();
    EXPECT_EQ(feed(frame(0x02, std::string(50'000, 'x'))), "");
    EXPECT_EQ(feed(frame(0x80, "end")), "binary " + std::string(50'000, 'x') + "end");
    EXPECT_EQ(feed(frame(0x02, "a") + frame(0x80, "b") + frame(0x81, "c")), "binary ab, text c");
}

}  // namespace
}  // namespace mono::websocket
