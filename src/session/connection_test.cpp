// The states of a connection: what moves it from phase to phase, deadlines, refusals, the end of
// input. Bodies are in connection_body_test.cpp.
#include "session/connection.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "base/clock.hpp"
#include "http/bounds.hpp"
#include "session/support_test.hpp"

namespace mono::session {
namespace {

constexpr std::string_view kGet = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
constexpr std::string_view kGetClose = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
constexpr std::string_view kPost = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n";
constexpr int64_t kNever = Connection::kNever;

class ConnectionTest : public testing::Test {
  protected:
    ConnectionTest() {
        limits.head_ms_max = 1'000;
        limits.body_ms_max = 2'000;
        limits.send_ms_max = 3'000;
        limits.keepalive_ms_max = 4'000;
    }
    ~ConnectionTest() override {
        connection_.reset();
        EXPECT_EQ(pool.out, 0) << "an exchange was lost";
        EXPECT_EQ(spills.alive, 0);
    }
    Connection& open(int64_t now_ms = 0, bool trusted = false) {
        connection_.emplace(context_, PeerInfo{"10.0.0.1", 1234, 0, trusted}, now_ms);
        return *connection_;
    }
    // The application answers at once and the kernel takes everything.
    Next serve(std::string_view body = "hello", bool may_persist = true, int64_t now_ms = 0) {
        answer(*connection_, body, may_persist);
        connection_->finished(now_ms);
        sent = drain(connection_->out);
        return connection_->flushed(now_ms);
    }
    std::string target() {
        Exchange& exchange = *connection_->exchange();
        return std::string(exchange.text(exchange.head.target));
    }

    Limits limits;
    CountingPool pool;
    MemorySpills spills;
    http::RequestIdMaker ids{7};
    int64_t now_us = 1;
    std::string sent;

  private:
    ConnectionContext context_{limits, pool, spills, ids, now_us};
    std::optional<Connection> connection_;
};

constexpr std::string_view kNamed =
    "GET / HTTP/1.1\r\nHost: a\r\nX-Request-ID: from-proxy\r\n"
    "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\r\n";

TEST_F(ConnectionTest, EveryRequestHasAnIdOfItsOwn) {
    Connection& connection = open();
    ASSERT_EQ(connection.feed("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0), Next::kDispatch);
    EXPECT_EQ(connection.exchange()->request_id(), "0000000000000007000000000000");
    EXPECT_TRUE(connection.exchange()->trace_id.empty());
    ASSERT_EQ(serve(), Next::kRead);
    ASSERT_EQ(connection.feed("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0), Next::kDispatch);
    EXPECT_EQ(connection.exchange()->request_id(), "0000000000000007000000000001");
}

TEST_F(ConnectionTest, TheIdOfATrustedPeerIsKept) {
    Connection& trusting = open(0, true);
    ASSERT_EQ(trusting.feed(kNamed, 0), Next::kDispatch);
    Exchange& exchange = *trusting.exchange();
    EXPECT_EQ(exchange.request_id(), "from-proxy");
    EXPECT_EQ(exchange.text(exchange.trace_id), "0af7651916cd43dd8448eb211c80319c");
    Connection& wary = open(0, false);
    ASSERT_EQ(wary.feed(kNamed, 0), Next::kDispatch);
    EXPECT_EQ(wary.exchange()->request_id(), "0000000000000007000000000000");
    EXPECT_EQ(wary.exchange()->text(wary.exchange()->trace_id), "0af7651916cd43dd8448eb211c80319c");
}

TEST_F(ConnectionTest, TheClientThatATrustedProxyNamesIsTheRequests) {
    limits.forwarded_client = http::ForwardedFields::kBoth;
    constexpr std::string_view named =
        "GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 192.0.2.9\r\n\r\n";
    Connection& trusting = open(0, true);
    ASSERT_EQ(trusting.feed(named, 0), Next::kDispatch);
    EXPECT_EQ(trusting.exchange()->peer.host, "192.0.2.9");
    EXPECT_EQ(trusting.peer().host, "10.0.0.1");
    ASSERT_EQ(serve(), Next::kRead);
    ASSERT_EQ(trusting.feed(kGet, 0), Next::kDispatch);
    EXPECT_EQ(trusting.exchange()->peer.host, "10.0.0.1");
    Connection& resumed = open(0, true);
    ASSERT_EQ(resumed.resume(named, {}, {}, {}), Next::kDispatch);
    EXPECT_EQ(resumed.exchange()->peer.host, "192.0.2.9");
    Connection& wary = open(0, false);
    ASSERT_EQ(wary.feed(named, 0), Next::kDispatch);
    EXPECT_EQ(wary.exchange()->peer.host, "10.0.0.1");
}

TEST_F(ConnectionTest, ARefusedRequestHasAnIdToo) {
    Connection& connection = open(0, true);
    ASSERT_EQ(connection.feed("GET / HTTP/1.1\r\nX-Request-ID: seen\r\nbad line\r\n\r\n", 0),
              Next::kRefused);
    EXPECT_EQ(connection.exchange()->request_id(), "seen");
    Connection& other = open(0, true);
    ASSERT_EQ(other.feed("\1 / HTTP/1.1\r\n\r\n", 0), Next::kRefused);
    EXPECT_EQ(other.exchange()->request_id(), "0000000000000007000000000000");
}

TEST_F(ConnectionTest, NotesWhenARequestPassedEachStation) {
    Connection& connection = open(0, true);
    const std::string start = "t=" + std::to_string(base::unix_us() - 2'000'000);
    now_us = 7'000'000;
    ASSERT_EQ(connection.feed("POST / HTTP/1.1\r\n", 0), Next::kRead);
    now_us = 8'000'000;
    ASSERT_EQ(connection.feed(
                  "Host: a\r\nX-Request-Start: " + start + "\r\nContent-Length: 2\r\n\r\n", 0),
              Next::kRead);
    now_us = 9'000'000;
    ASSERT_EQ(connection.feed("ab", 0), Next::kDispatch);
    const Exchange& exchange = *connection.exchange();
    EXPECT_GT(exchange.balancer_us, 0);
    EXPECT_LE(exchange.balancer_us, 6'000'000);
    EXPECT_EQ(exchange.accepted_us, 7'000'000);
    EXPECT_EQ(exchange.started_us, 8'000'000);
    EXPECT_EQ(exchange.ready_us, 9'000'000);
    ASSERT_EQ(serve(), Next::kRead);
    now_us = 10'000'000;
    ASSERT_EQ(connection.feed("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 0), Next::kDispatch);
    EXPECT_EQ(connection.exchange()->balancer_us, 0);
    EXPECT_EQ(connection.exchange()->accepted_us, 10'000'000);
}

TEST_F(ConnectionTest, AStampOfTheNextInstantIsNoWait) {
    Connection& connection = open(0, true);
    now_us = 5'000'000;
    ASSERT_EQ(connection.feed("GET / HTTP/1.1\r\nHost: a\r\n", 0), Next::kRead);
    now_us = 9'000'000;  // the head took long: the proxy's stamp lies behind its first byte
    const std::string start = std::to_string(base::unix_us());
    ASSERT_EQ(connection.feed("X-Request-Start: " + start + "\r\n\r\n", 0), Next::kDispatch);
    EXPECT_EQ(connection.exchange()->balancer_us, 5'000'000);
}

TEST_F(ConnectionTest, BeginsIdleAndWaitsForAHead) {
    Connection& connection = open(500);
    EXPECT_EQ(connection.phase(), Phase::kIdle);
    EXPECT_EQ(connection.exchange(), nullptr);
    EXPECT_EQ(connection.deadline_ms(), 1'500);
    EXPECT_TRUE(connection.wants_bytes());
    EXPECT_EQ(connection.expire(1'500), Next::kClose);
    EXPECT_TRUE(connection.out.empty());
}

TEST_F(ConnectionTest, TheHeadHasOneDeadlineFromItsFirstByte) {
    Connection& connection = open(0);
    EXPECT_EQ(connection.feed("G", 700), Next::kRead);
    EXPECT_EQ(connection.phase(), Phase::kHead);
    EXPECT_NE(connection.exchange(), nullptr);
    EXPECT_EQ(connection.deadline_ms(), 1'700);
    EXPECT_EQ(connection.feed("ET / HT", 1'600), Next::kRead);
    EXPECT_EQ(connection.deadline_ms(), 1'700);  // a drip does not move it
    EXPECT_EQ(connection.expire(1'700), Next::kRefused);
    EXPECT_EQ(connection.refusal().error, http::Error::kHeadTimeout);
    EXPECT_EQ(connection.refusal().offset, 8u);
    EXPECT_TRUE(drain(connection.out).starts_with("HTTP/1.1 408 "));
}

// What browsers send behind a form: it is not yet a request (RFC 9112 section 2.2).
TEST_F(ConnectionTest, AnEmptyLineAloneIsNotARequestThatTimedOut) {
    Connection& connection = open();
    ASSERT_EQ(connection.feed(kGet, 0), Next::kDispatch);
    ASSERT_EQ(serve(), Next::kRead);
    EXPECT_EQ(connection.feed("\r\n", 10), Next::kRead);
    EXPECT_EQ(connection.expire(connection.deadline_ms()), Next::kClose);
    EXPECT_TRUE(connection.out.empty());
}

TEST_F(ConnectionTest, ACompleteRequestIsTheApplications) {
    Connection& connection = open();
    EXPECT_EQ(connection.feed(kGet, 100), Next::kDispatch);
    EXPECT_EQ(connection.phase(), Phase::kReady);
    EXPECT_EQ(connection.deadline_ms(), kNever);
    EXPECT_FALSE(connection.wants_bytes());
    EXPECT_EQ(connection.exchange()->peer.host, "10.0.0.1");
    EXPECT_EQ(connection.exchange()->peer.port, 1234);
    EXPECT_GT(connection.exchange()->started_us, 0);
}

TEST_F(ConnectionTest, AnAnswerThatHasLeftMakesItIdle) {
    Connection& connection = open();
    ASSERT_EQ(connection.feed(kGet, 100), Next::kDispatch);
    answer(connection, "hello");
    connection.finished(200);
    EXPECT_EQ(connection.phase(), Phase::kFlush);
    EXPECT_EQ(connection.deadline_ms(), 3'200);
    drain(connection.out);
    EXPECT_EQ(connection.flushed(300), Next::kRead);
    EXPECT_EQ(connection.phase(), Phase::kIdle);
    EXPECT_EQ(connection.exchange(), nullptr);
    EXPECT_EQ(connection.deadline_ms(), 4'300);
    EXPECT_EQ(connection.served(), 1u);
    EXPECT_EQ(pool.out, 0);
    EXPECT_EQ(connection.expire(4'300), Next::kClose);
}

// A client that pipelines pays for each request by its own size, not by what is behind it: what is
// pipelined stays where it is, and a request's memory holds its own bytes only.
TEST_F(ConnectionTest, WhatIsPipelinedIsNotCopiedForEachRequest) {
    const std::string post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    const std::string chunked =
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    std::string stream;
    while (stream.size() < 50'000) stream += std::string(kGet) + post + chunked;
    Connection& connection = open();
    ASSERT_EQ(connection.feed(stream, 0), Next::kDispatch);
    const char* end = connection.pipelined().data() + connection.pipelined().size();
    size_t served = 0;
    for (; !connection.pipelined().empty(); ++served) {
        ASSERT_EQ(connection.pipelined().data() + connection.pipelined().size(), end);
        ASSERT_LE(connection.exchange()->bytes.capacity(), 1'024u);
        ASSERT_EQ(body_of(*connection.exchange()), served % 3 == 0 ? "" : "abc");
        ASSERT_EQ(serve(), Next::kDispatch);
    }
    EXPECT_GT(served, 900u);
    EXPECT_EQ(serve(), Next::kRead);
    EXPECT_EQ(connection.phase(), Phase::kIdle);
}

// A request whose beginning was pipelined goes on with what comes.
TEST_F(ConnectionTest, APipelinedPartOfARequestWaitsForItsRest) {
    const std::string second =
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: "
        "a\r\n\r\n";
    const std::string both = std::string(kGet) + second;
    for (size_t cut = kGet.size(); cut < both.size(); ++cut) {
        Connection& connection = open();
        ASSERT_EQ(connection.feed(std::string_view(both).substr(0, cut), 0), Next::kDispatch);
        Next next = serve();
        if (next == Next::kRead) next = connection.feed(std::string_view(both).substr(cut), 0);
        ASSERT_EQ(next, Next::kDispatch) << cut;
        EXPECT_EQ(body_of(*connection.exchange()), "abc");
        next = serve();
        if (next == Next::kRead) next = connection.feed(std::string_view(both).substr(cut), 0);
        ASSERT_EQ(next, Next::kDispatch) << cut;
        EXPECT_EQ(serve(), Next::kRead);
    }
}

TEST_F(ConnectionTest, WithoutKeepAliveItCloses) {
    Connection& connection = open();
    ASSERT_EQ(connection.feed(kGetClose, 0), Next::kDispatch);
    EXPECT_EQ(serve(), Next::kClose);
    open();
    ASSERT_EQ(connection.feed(kGet, 0), Next::kDispatch);
    EXPECT_EQ(serve("x", false), Next::kClose);
}

TEST_F(ConnectionTest, UnreadBytesBehindTheLastAnswerLinger) {
    Connection& connection = open();
    ASSERT_EQ(connection.feed(std::string(kGetClose) + "GET /more", 0), Next::kDispatch);
    EXPECT_FALSE(connection.pipelined().empty());
    EXPECT_EQ(serve("x", true, 10), Next::kRead);
    EXPECT_EQ(connection.phase(), Phase::kLinger);
    EXPECT_EQ(connection.exchange(), nullptr);
    EXPECT_TRUE(connection.pipelined().empty());
    EXPECT_EQ(connection.deadline_ms(), 10 + http::kLingerMs);
    EXPECT_EQ(connection.feed(kGet, 20), Next::kRead);  // thrown away
    EXPECT_EQ(connection.phase(), Phase::kLinger);
    EXPECT_EQ(connection.deadline_ms(), 10 + http::kLingerMs);
    EXPECT_EQ(connection.expire(3'000), Next::kClose);
}

TEST_F(ConnectionTest, ALingerEndsWithItsBytes) {
    Connection& connection = open();
    ASSERT_EQ(connection.feed("bad\r\n", 0), Next::kRefused);
    drain(connection.out);
    ASSERT_EQ(connection.flushed(0), Next::kRead);
    ASSERT_EQ(connection.phase(), Phase::kLinger);
    EXPECT_EQ(connection.feed(std::string(http::kLingerBytesMax, 'x'), 0), Next::kRead);
    EXPECT_EQ(connection.feed("x", 0), Next::kClose);
}

TEST_F(ConnectionTest, ARefusalIsAPageAndThenALinger) {
    Connection& connection = open();
    EXPECT_EQ(connection.feed("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 5), Next::kRefused);
    EXPECT_EQ(connection.phase(), Phase::kFlush);
    EXPECT_EQ(connection.refusal().error, http::Error::kHostInvalid);
    EXPECT_EQ(connection.refusal().offset, 16u);
    EXPECT_FALSE(connection.wants_bytes());
    const std::string page = drain(connection.out);
    EXPECT_TRUE(page.starts_with("HTTP/1.1 400 ")) << page;
    EXPECT_NE(page.find("Connection: close\r\n"), std::string::npos);
    EXPECT_EQ(connection.flushed(10), Next::kRead);
    EXPECT_EQ(connection.phase(), Phase::kLinger);
    EXPECT_EQ(connection.end_of_input(), Next::kClose);
}

// RFC 9110 section 9.3.2
TEST_F(ConnectionTest, ARefusedHeadRequestGetsNoBody) {
    Connection& connection = open();
    ASSERT_EQ(connection.feed("HEAD / HTTP/1.1\r\nHost: a b\r\n\r\n", 5), Next::kRefused);
    const std::string page = drain(connection.out);
    EXPECT_TRUE(page.ends_with("\r\n\r\n")) << page;
    EXPECT_EQ(page.find("<html"), std::string::npos);
}

TEST_F(ConnectionTest, ARefusedExchangeLeavesNoTimeBehind) {
    Connection& connection = open();
    ASSERT_EQ(connection.feed(kGet, 0), Next::kDispatch);
    EXPECT_GT(connection.exchange()->started_us, 0);
    ASSERT_EQ(serve(), Next::kRead);
    ASSERT_EQ(connection.feed("bad\r\n", 0), Next::kRefused);
    EXPECT_EQ(connection.exchange()->started_us, 0);  // else its access line tells an age
}

TEST_F(ConnectionTest, AScriptNameThatIsNoPrefixIsRefused) {
    limits.script_name = "/app";
    Connection& connection = open();
    EXPECT_EQ(connection.feed("GET /other HTTP/1.1\r\nHost: a\r\n\r\n", 0), Next::kRefused);
    EXPECT_EQ(connection.refusal().error, http::Error::kScriptNameMismatch);
    open();
    EXPECT_EQ(connection.feed("GET /app/x HTTP/1.1\r\nHost: a\r\n\r\n", 0), Next::kDispatch);
}

TEST_F(ConnectionTest, TheEndOfInputInEachPhase) {
    EXPECT_EQ(open().end_of_input(), Next::kClose);  // kIdle
    Connection& connection = open();
    ASSERT_EQ(connection.feed("GET", 0), Next::kRead);
    EXPECT_EQ(connection.end_of_input(), Next::kClose);  // kHead
    EXPECT_TRUE(connection.out.empty());
    open();
    ASSERT_EQ(connection.feed(std::string(kPost) + "ab", 0), Next::kRead);
    EXPECT_EQ(connection.end_of_input(), Next::kClose);  // kBody: RFC 9112 section 8
    EXPECT_TRUE(connection.out.empty());
    open();
    ASSERT_EQ(connection.feed(kGet, 0), Next::kDispatch);
    EXPECT_EQ(connection.end_of_input(), Next::kRead);  // kReady: half-closed, still answered
    answer(connection, "x");
    connection.finished(0);
    EXPECT_EQ(connection.end_of_input(), Next::kRead);  // kFlush
    drain(connection.out);
    EXPECT_EQ(connection.flushed(0), Next::kRead);
    EXPECT_EQ(connection.end_of_input(), Next::kClose);
}

TEST_F(ConnectionTest, DeadlinesOfAStoppedReader) {
    Connection& connection = open();
    ASSERT_EQ(connection.feed(kGet, 0), Next::kDispatch);
    connection.progressed(50);
    EXPECT_EQ(connection.deadline_ms(), kNever);  // nothing to send: the application's time
    answer(connection, "hello");
    connection.progressed(100);
    EXPECT_EQ(connection.deadline_ms(), 3'100);
    EXPECT_EQ(connection.expire(3'100), Next::kClose);
    drain(connection.out);
    connection.progressed(200);
    EXPECT_EQ(connection.deadline_ms(), kNever);
    connection.finished(300);
    connection.progressed(400);
    EXPECT_EQ(connection.deadline_ms(), 3'400);
    EXPECT_EQ(connection.expire(3'400), Next::kClose);
}

TEST_F(ConnectionTest, ZeroMeansNoDeadline) {
    limits.head_ms_max = limits.body_ms_max = limits.send_ms_max = limits.keepalive_ms_max = 0;
    limits.body_rate_min = 0;
    Connection& connection = open();
    EXPECT_EQ(connection.deadline_ms(), kNever);
    EXPECT_EQ(connection.feed("P", 10), Next::kRead);
    EXPECT_EQ(connection.deadline_ms(), kNever);
    EXPECT_EQ(connection.feed(kPost.substr(1), 10), Next::kRead);
    EXPECT_EQ(connection.phase(), Phase::kBody);
    EXPECT_EQ(connection.deadline_ms(), kNever);
    EXPECT_EQ(connection.feed("abcd", 10), Next::kDispatch);
    EXPECT_EQ(serve(), Next::kRead);
    EXPECT_EQ(connection.deadline_ms(), kNever);
}

TEST_F(ConnectionTest, FlushedMeansNothingWithoutAnAnswer) {
    Connection& connection = open();
    EXPECT_EQ(connection.flushed(0), Next::kRead);
    ASSERT_EQ(connection.feed(kPost, 0), Next::kRead);
    EXPECT_EQ(connection.flushed(0), Next::kRead);
    EXPECT_EQ(connection.phase(), Phase::kBody);
    ASSERT_EQ(connection.feed("abcd", 0), Next::kDispatch);
    EXPECT_EQ(connection.flushed(0), Next::kRead);
    EXPECT_EQ(connection.phase(), Phase::kReady);
}

TEST_F(ConnectionTest, PipelinedRequestsAreServedInOrderOneAtATime) {
    std::string stream;
    for (int i = 0; i < 10; ++i)
        stream += "POST /" + std::to_string(i) +
                  " HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n" + std::to_string(10 + i);
    Connection& connection = open();
    Next next = connection.feed(stream, 0);
    for (int i = 0; i < 10; ++i) {
        ASSERT_EQ(next, Next::kDispatch) << i;
        EXPECT_EQ(target(), "/" + std::to_string(i));
        EXPECT_EQ(body_of(*connection.exchange()), std::to_string(10 + i));
        EXPECT_EQ(!connection.pipelined().empty(), i < 9);
        EXPECT_EQ(pool.out, 1);
        next = serve();
    }
    EXPECT_EQ(next, Next::kRead);
    EXPECT_EQ(connection.phase(), Phase::kIdle);
    EXPECT_EQ(connection.served(), 10u);
}

TEST_F(ConnectionTest, APipelinedHeadThatIsCutGoesOn) {
    Connection& connection = open();
    ASSERT_EQ(connection.feed(std::string(kGet) + "GET /two HT", 0), Next::kDispatch);
    EXPECT_EQ(serve("x", true, 50), Next::kRead);
    EXPECT_EQ(connection.phase(), Phase::kHead);
    EXPECT_EQ(connection.deadline_ms(), 1'050);
    EXPECT_EQ(connection.feed("TP/1.1\r\nHost: a\r\n\r\n", 60), Next::kDispatch);
    EXPECT_EQ(target(), "/two");
}

TEST_F(ConnectionTest, APipelinedMistakeIsRefusedAfterTheAnswer) {
    Connection& connection = open();
    ASSERT_EQ(connection.feed(std::string(kGet) + "bad\r\n\r\n", 0), Next::kDispatch);
    EXPECT_EQ(serve(), Next::kRefused);
    EXPECT_TRUE(sent.starts_with("HTTP/1.1 200 OK"));
    EXPECT_TRUE(drain(connection.out).starts_with("HTTP/1.1 400 "));
    EXPECT_EQ(connection.flushed(0), Next::kRead);
    EXPECT_EQ(connection.phase(), Phase::kLinger);
}

TEST_F(ConnectionTest, AnExchangeCanBeTakenAway) {
    Connection& connection = open();
    ASSERT_EQ(connection.feed(kGet, 0), Next::kDispatch);
    Exchange* exchange = connection.detach_exchange();
    EXPECT_EQ(connection.exchange(), nullptr);
    EXPECT_EQ(exchange->text(exchange->head.target), "/");
    pool.put(exchange);
}

TEST_F(ConnectionTest, DyingInAnyPhaseGivesTheExchangeBack) {
    for (std::string_view bytes :
         {std::string_view("G"), kPost, kGet, std::string_view("bad\r\n")}) {
        Connection& connection = open();
        [[maybe_unused]] const Next next = connection.feed(bytes, 0);
        EXPECT_EQ(pool.out, 1);
        open();
        EXPECT_EQ(pool.out, 0) << bytes;
    }
}

}  // namespace
}  // namespace mono::session
