// Bodies of requests: where they lie, their bounds to the byte, 100 Continue, what follows them.
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "session/connection.hpp"
#include "session/support_test.hpp"

namespace mono::session {
namespace {

constexpr int64_t kNever = Connection::kNever;
constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

std::string head_with(const std::string& fields) {
    return "POST / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
}
std::string with_length(size_t length) {
    return head_with("Content-Length: " + std::to_string(length) + "\r\n");
}
std::string chunk(const std::string& data) {
    char size[20];
    std::snprintf(size, sizeof size, "%zx\r\n", data.size());
    return size + data + "\r\n";
}
const std::string kChunkedHead = head_with("Transfer-Encoding: chunked\r\n");

class ConnectionBodyTest : public testing::Test {
  protected:
    ConnectionBodyTest() {
        limits.body_memory_bytes_max = 16;
        limits.body_ms_max = 2'000;
        limits.body_rate_min = 0;
    }
    ~ConnectionBodyTest() override {
        connection_.reset();
        EXPECT_EQ(pool.out, 0);
        EXPECT_EQ(spills.alive, 0);
    }
    Connection& open() {
        connection_.emplace(context_, PeerInfo{}, 0);
        return *connection_;
    }
    // Feeds in pieces of `step` bytes; what the last call said, or the first that was not kRead.
    Next feed(std::string_view bytes, size_t step) {
        Next next = Next::kRead;
        for (size_t at = 0; at < bytes.size() && next == Next::kRead; at += step)
            next = connection_->feed(bytes.substr(at, step), 0);
        return next;
    }
    void expect_refused(std::string_view bytes, http::Error error, int status) {
        for (size_t step : {bytes.size(), size_t{1}, size_t{7}}) {
            Connection& connection = open();
            EXPECT_EQ(feed(bytes, step), Next::kRefused) << bytes << " by " << step;
            EXPECT_EQ(connection.refusal().error, error);
            const std::string start = "HTTP/1.1 " + std::to_string(status) + " ";
            EXPECT_TRUE(drain(connection.out).starts_with(start));
        }
    }
    void expect_body(std::string_view bytes, const std::string& body, bool spilled) {
        for (size_t step : {bytes.size(), size_t{1}, size_t{7}}) {
            Connection& connection = open();
            ASSERT_EQ(feed(bytes, step), Next::kDispatch) << bytes << " by " << step;
            EXPECT_EQ(body_of(*connection.exchange()), body);
            EXPECT_EQ(connection.exchange()->body.spilled(), spilled) << body.size();
            EXPECT_EQ(connection.exchange()->body.size(), body.size());
            EXPECT_EQ(connection.exchange()->body_view(), spilled ? "" : body);
        }
    }

    Limits limits;
    CountingPool pool;
    MemorySpills spills;
    http::RequestIdMaker ids{7};
    int64_t now_us = 1;

  private:
    ConnectionContext context_{limits, pool, spills, ids, now_us};
    std::optional<Connection> connection_;
};

TEST_F(ConnectionBodyTest, LiesInMemoryUpToTheBoundWithALength) {
    for (size_t size : {1, 15, 16})
        expect_body(with_length(size) + std::string(size, 'x'), std::string(size, 'x'), false);
    for (size_t size : {17, 40})
        expect_body(with_length(size) + std::string(size, 'x'), std::string(size, 'x'), true);
}

TEST_F(ConnectionBodyTest, LiesInMemoryUpToTheBoundInChunks) {
    const std::string eight = "01234567";
    expect_body(kChunkedHead + "0\r\n\r\n", "", false);
    expect_body(kChunkedHead + chunk(eight) + chunk(eight) + "0\r\n\r\n", eight + eight, false);
    expect_body(kChunkedHead + chunk(eight) + chunk(eight) + chunk("8") + "0\r\n\r\n",
                eight + eight + "8", true);
}

TEST_F(ConnectionBodyTest, WithoutMemoryEverythingIsSpilled) {
    limits.body_memory_bytes_max = 0;
    expect_body(with_length(1) + "x", "x", true);
    expect_body(kChunkedHead + chunk("x") + "0\r\n\r\n", "x", true);
}

TEST_F(ConnectionBodyTest, TheBoundIsExactWithALength) {
    limits.body_bytes_max = 20;
    expect_body(with_length(20) + std::string(20, 'x'), std::string(20, 'x'), true);
    expect_refused(with_length(21), http::Error::kBodyTooLarge, 413);
    expect_refused(with_length(UINT64_MAX), http::Error::kBodyTooLarge, 413);
}

TEST_F(ConnectionBodyTest, TheBoundIsExactInChunks) {
    limits.body_bytes_max = 10;
    const std::string five = "01234";
    expect_body(kChunkedHead + chunk(five) + chunk(five) + "0\r\n\r\n", five + five, false);
    expect_refused(kChunkedHead + chunk(five) + chunk(five + "5"), http::Error::kBodyTooLarge, 413);
    // Announced is enough; the data need not come.
    expect_refused(kChunkedHead + "b\r\n", http::Error::kBodyTooLarge, 413);
    expect_refused(kChunkedHead + chunk(five) + "6\r\n", http::Error::kBodyTooLarge, 413);
    expect_refused(kChunkedHead + "ffffffffffffffff\r\n", http::Error::kBodyTooLarge, 413);
    expect_refused(kChunkedHead + chunk(five) + "fffffffffffffffe\r\n", http::Error::kBodyTooLarge,
                   413);
}

TEST_F(ConnectionBodyTest, WithoutABoundALengthOfAnySizeIsBegun) {
    Connection& connection = open();
    EXPECT_EQ(connection.feed(with_length(UINT64_MAX), 0), Next::kRead);
    EXPECT_EQ(connection.phase(), Phase::kBody);
    open();
    EXPECT_EQ(connection.feed(kChunkedHead + "ffffffffffffffff\r\nab", 0), Next::kRead);
    EXPECT_EQ(connection.phase(), Phase::kBody);
}

TEST_F(ConnectionBodyTest, WithoutRoomTheAnswerIs503) {
    spills.room = 20;
    expect_refused(with_length(30) + std::string(30, 'x'), http::Error::kStorageFull, 503);
    expect_refused(kChunkedHead + chunk(std::string(30, 'x')), http::Error::kStorageFull, 503);
    expect_body(with_length(20) + std::string(20, 'x'), std::string(20, 'x'), true);
    spills.refuses = true;
    expect_refused(with_length(17) + std::string(17, 'x'), http::Error::kStorageFull, 503);
    expect_refused(kChunkedHead + chunk(std::string(17, 'x')), http::Error::kStorageFull, 503);
}

TEST_F(ConnectionBodyTest, AnAnnouncedBodyOpensNoFileBeforeTheFirstByteBeyondMemory) {
    for (const std::string& head : {with_length(17), kChunkedHead + "11\r\n"}) {
        Connection& connection = open();
        ASSERT_EQ(feed(head + std::string(16, 'x'), 7), Next::kRead);
        EXPECT_EQ(spills.alive, 0);
        EXPECT_EQ(connection.feed("y", 0), head == with_length(17) ? Next::kDispatch : Next::kRead);
        EXPECT_EQ(spills.alive, 1);
    }
}

TEST_F(ConnectionBodyTest, WhatCameWithTheHeadIsGivenBack) {
    Connection& connection = open();
    ASSERT_EQ(connection.feed(with_length(100'000) + std::string(60'000, 'x'), 0), Next::kRead);
    EXPECT_LT(connection.exchange()->bytes.capacity(), 1'024u);
    limits.body_memory_bytes_max = 65'536;
    Connection& announced = open();
    ASSERT_EQ(announced.feed(with_length(65'536), 0), Next::kRead);
    EXPECT_LE(announced.exchange()->bytes.capacity(), 1'024u);
}

TEST_F(ConnectionBodyTest, BeyondTheServersBoundsTheAnswerIs503) {
    spills.full = true;
    expect_refused(with_length(17), http::Error::kStorageLimit, 503);
    expect_refused(kChunkedHead + chunk(std::string(17, 'x')), http::Error::kStorageLimit, 503);
    expect_body(with_length(16) + std::string(16, 'x'), std::string(16, 'x'), false);
}

TEST_F(ConnectionBodyTest, ABodyHasALeastRateBehindItsGrace) {
    limits.body_rate_min = 10;
    for (const std::string& head : {with_length(9), with_length(400), kChunkedHead + "190\r\n"}) {
        const int64_t framing = head.starts_with(kChunkedHead) ? 5 : 0;
        Connection& connection = open();
        ASSERT_EQ(connection.feed(head, 0), Next::kRead);
        int64_t now_ms = 0;
        for (int i = 1; i <= 3; ++i) {  // each a tenth of a second more
            ASSERT_EQ(connection.feed("x", now_ms = i * 700), Next::kRead);
            EXPECT_EQ(connection.deadline_ms(), 2'000 + (framing + i) * 100) << head << i;
        }
        ASSERT_EQ(connection.expire(connection.deadline_ms()), Next::kRefused);
        EXPECT_EQ(connection.refusal().error, http::Error::kBodyTooSlow);
        EXPECT_TRUE(drain(connection.out).starts_with("HTTP/1.1 408 "));
    }
}

TEST_F(ConnectionBodyTest, ABodyAtItsLeastRateMayTakeAnyTime) {
    limits.body_rate_min = 10;
    Connection& connection = open();
    ASSERT_EQ(connection.feed(with_length(400), 0), Next::kRead);
    for (int second = 1; second < 40; ++second) {
        const int64_t now_ms = second * 1'000;
        EXPECT_GT(connection.deadline_ms(), now_ms);
        ASSERT_EQ(connection.feed("0123456789", now_ms), Next::kRead);
    }
    ASSERT_EQ(connection.feed("0123456789", 40'000), Next::kDispatch);
    EXPECT_EQ(connection.deadline_ms(), Connection::kNever);
}

TEST_F(ConnectionBodyTest, WithoutATimeoutTheLeastRateHasItsOwnGrace) {
    limits.body_rate_min = 10;
    limits.body_ms_max = 0;
    Connection& connection = open();
    ASSERT_EQ(connection.feed(with_length(400) + "0123456789", 500), Next::kRead);
    EXPECT_EQ(connection.deadline_ms(), 500 + kBodyGraceMs + 1'000);
    limits.body_rate_min = 0;
    Connection& any = open();
    ASSERT_EQ(any.feed(with_length(400) + "0123456789", 500), Next::kRead);
    EXPECT_EQ(any.deadline_ms(), Connection::kNever);
}

TEST_F(ConnectionBodyTest, NobodyIsToldToContinueBeyondTheServersBounds) {
    spills.full = true;
    Connection& connection = open();
    ASSERT_EQ(connection.feed(head_with("Content-Length: 17\r\nExpect: 100-continue\r\n"), 0),
              Next::kRefused);
    EXPECT_TRUE(drain(connection.out).starts_with("HTTP/1.1 503 "));
}

TEST_F(ConnectionBodyTest, ContinueIsSaidOnceToWhoAsksAndWaits) {
    for (const std::string& framing :
         {std::string("Content-Length: 4\r\n"), std::string("Content-Length: 40\r\n"),
          std::string("Transfer-Encoding: chunked\r\n")}) {
        Connection& connection = open();
        ASSERT_EQ(connection.feed(head_with(framing + "Expect: 100-continue\r\n"), 0), Next::kRead);
        EXPECT_EQ(drain(connection.out), kContinue);
        EXPECT_TRUE(connection.exchange()->continue_sent);
        ASSERT_EQ(connection.feed("4", 0), Next::kRead);
        EXPECT_TRUE(connection.out.empty());
    }
}

TEST_F(ConnectionBodyTest, ContinueIsNotSaid) {
    const std::string asks = "Expect: 100-continue\r\n";
    Connection& connection = open();
    // RFC 9110 section 10.1.1: the body is already on its way.
    ASSERT_EQ(connection.feed(head_with(asks + "Content-Length: 4\r\n") + "a", 0), Next::kRead);
    EXPECT_TRUE(connection.out.empty());
    open();  // no body
    ASSERT_EQ(connection.feed(head_with(asks), 0), Next::kDispatch);
    EXPECT_TRUE(connection.out.empty());
    open();  // HTTP/1.0
    ASSERT_EQ(connection.feed("POST / HTTP/1.0\r\n" + asks + "Content-Length: 4\r\n\r\n", 0),
              Next::kRead);
    EXPECT_TRUE(connection.out.empty());
    limits.body_bytes_max = 3;
    open();  // refused
    ASSERT_EQ(connection.feed(head_with(asks + "Content-Length: 4\r\n"), 0), Next::kRefused);
    EXPECT_TRUE(drain(connection.out).starts_with("HTTP/1.1 413 "));
}

TEST_F(ConnectionBodyTest, EachPieceOfTheBodyRenewsItsDeadline) {
    for (const std::string& head : {with_length(4), with_length(40), kChunkedHead}) {
        Connection& connection = open();
        ASSERT_EQ(connection.feed(head, 100), Next::kRead);
        EXPECT_EQ(connection.deadline_ms(), 2'100);
        ASSERT_EQ(connection.feed("3", 1'900), Next::kRead);
        EXPECT_EQ(connection.deadline_ms(), 3'900);
        EXPECT_EQ(connection.expire(3'900), Next::kRefused);
        EXPECT_EQ(connection.refusal().error, http::Error::kBodyTimeout);
        EXPECT_TRUE(drain(connection.out).starts_with("HTTP/1.1 408 "));
    }
}

TEST_F(ConnectionBodyTest, ATimeoutTellsHowFarTheBodyCame) {
    Connection& connection = open();
    ASSERT_EQ(connection.feed(with_length(9) + "abc", 0), Next::kRead);
    ASSERT_EQ(connection.expire(2'000), Next::kRefused);
    EXPECT_EQ(connection.refusal().offset, with_length(9).size() + 3);
    open();
    ASSERT_EQ(connection.feed(with_length(90) + "abc", 0), Next::kRead);
    ASSERT_EQ(connection.expire(2'000), Next::kRefused);
    EXPECT_EQ(connection.refusal().offset, with_length(90).size() + 3);
}

TEST_F(ConnectionBodyTest, RulesSayWhichBodiesAreStreamed) {
    limits.buffering = BufferingRules::parse({"20", "/on=on", "/off=off"}).value();
    auto post = [](const std::string& path, const std::string& fields) {
        return "POST " + path + " HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
    };
    const std::string coded = "Transfer-Encoding: chunked\r\n";
    auto length = [](int bytes) { return "Content-Length: " + std::to_string(bytes) + "\r\n"; };
    struct Case {
        std::string head;
        bool streamed;
    };
    for (const auto& [head, streamed] :
         {Case{post("/", length(20)), false}, Case{post("/", length(21)), true},
          Case{post("/", coded), true}, Case{post("/on", length(1'000)), false},
          Case{post("/on", coded), false}, Case{post("/off/a", length(1)), true},
          Case{post("/off?on", coded), true}, Case{post("/x/off", length(1)), false}}) {
        Connection& connection = open();
        EXPECT_EQ(connection.feed(head, 0), streamed ? Next::kDispatch : Next::kRead) << head;
        EXPECT_EQ(connection.phase(), streamed ? Phase::kStream : Phase::kBody) << head;
        EXPECT_EQ(connection.exchange()->streamed, streamed) << head;
    }
    open();  // nothing is left to come
    EXPECT_EQ(feed(post("/off", length(3)) + "abc", 1'000), Next::kDispatch);
}

TEST_F(ConnectionBodyTest, TheClockOfAStreamRestsWhileItsSenderWaits) {
    limits.buffering = BufferingRules::parse({"off"}).value();
    limits.body_rate_min = 100'000;
    Connection& connection = open();
    Exchange* exchange = nullptr;
    ASSERT_EQ(connection.feed(with_length(10'000'000), 0), Next::kDispatch);
    exchange = connection.exchange();
    EXPECT_EQ(connection.deadline_ms(), 2'000);
    ASSERT_EQ(connection.feed(std::string(kStreamHighBytes, 'x'), 1'000), Next::kBody);
    EXPECT_FALSE(connection.wants_bytes());
    EXPECT_EQ(connection.deadline_ms(), kNever);
    exchange->incoming.clear();
    connection.body_taken(61'000);  // a minute in the application's hands
    const int64_t earned_ms = kStreamHighBytes * 1'000 / 100'000;
    EXPECT_EQ(connection.deadline_ms(), std::min<int64_t>(63'000, 60'000 + 2'000 + earned_ms));
    connection.body_taken(62'000);  // the sender is not quicker because somebody looks
    EXPECT_LE(connection.deadline_ms(), 63'000);
    ASSERT_EQ(connection.expire(63'000), Next::kRefused);
    EXPECT_EQ(exchange->body_fault, connection.refusal().error);
}

TEST_F(ConnectionBodyTest, AStreamAsksToContinueWhenItIsWanted) {
    limits.buffering = BufferingRules::parse({"off"}).value();
    Connection& connection = open();
    ASSERT_EQ(connection.feed(head_with("Content-Length: 9\r\nExpect: 100-continue\r\n"), 0),
              Next::kDispatch);
    EXPECT_TRUE(connection.out.empty());
    EXPECT_EQ(connection.deadline_ms(), kNever);
    connection.body_taken(5'000);
    EXPECT_EQ(connection.deadline_ms(), kNever);
    connection.want_body(9'000);
    EXPECT_EQ(drain(connection.out), kContinue);
    EXPECT_EQ(connection.deadline_ms(), 11'000);
    connection.want_body(10'000);
    EXPECT_TRUE(connection.out.empty());
    EXPECT_EQ(connection.deadline_ms(), 11'000);
}

TEST_F(ConnectionBodyTest, WhoReadsBehindItsAnswersHeadDoesNotWaitForEver) {
    limits.buffering = BufferingRules::parse({"off"}).value();
    Connection& connection = open();
    ASSERT_EQ(connection.feed(head_with("Content-Length: 9\r\nExpect: 100-continue\r\n"), 0),
              Next::kDispatch);
    answer(connection, "early");
    drain(connection.out);
    connection.want_body(9'000);
    EXPECT_TRUE(connection.out.empty());
    EXPECT_EQ(connection.deadline_ms(), 11'000);
    EXPECT_EQ(connection.expire(11'000), Next::kClose);
}

TEST_F(ConnectionBodyTest, BytesBehindABodyAreTheNextRequests) {
    const std::string next = "GET /next HTTP/1.1\r\nHost: a\r\n\r\n";
    for (const std::string& first :
         {with_length(3) + "abc", with_length(20) + std::string(20, 'x'),
          kChunkedHead + chunk("abc") + "0\r\n\r\n",
          kChunkedHead + chunk(std::string(20, 'x')) + "0\r\nT: 1\r\n\r\n"}) {
        Connection& connection = open();
        ASSERT_EQ(connection.feed(first + next, 0), Next::kDispatch) << first;
        EXPECT_FALSE(connection.pipelined().empty());
        answer(connection, "ok");
        connection.finished(0);
        drain(connection.out);
        ASSERT_EQ(connection.flushed(0), Next::kDispatch) << first;
        Exchange& exchange = *connection.exchange();
        EXPECT_EQ(exchange.text(exchange.head.target), "/next");
        EXPECT_EQ(exchange.body.size(), 0u);
        EXPECT_TRUE(connection.pipelined().empty());
    }
}

TEST_F(ConnectionBodyTest, AMistakeInAChunkIsRefusedWithItsOffset) {
    const std::string bytes = kChunkedHead + "3\r\nabcX";
    Connection& connection = open();
    ASSERT_EQ(feed(bytes, bytes.size()), Next::kRefused);
    EXPECT_EQ(connection.refusal().error, http::Error::kChunkEndInvalid);
    EXPECT_EQ(connection.refusal().offset, bytes.size() - 1);
}

}  // namespace
}  // namespace mono::session
