// Requests that come by uwsgi, through the connection that takes them.
#include "session/uwsgi_reader.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "session/connection.hpp"
#include "session/support_test.hpp"

namespace mono::session {
namespace {

std::string post(std::string_view body) {
    return uwsgi::write_packet({{"REQUEST_METHOD", "POST"},
                                {"REQUEST_URI", "/app/x"},
                                {"PATH_INFO", "/x"},
                                {"SCRIPT_NAME", "/app"},
                                {"CONTENT_LENGTH", std::to_string(body.size())},
                                {"REMOTE_ADDR", "192.0.2.7"},
                                {"REMOTE_PORT", "99"},
                                {"REMOTE_USER", "joe"},
                                {"HTTPS", "on"}}) +
           std::string(body);
}

class UwsgiReaderTest : public testing::Test {
  protected:
    UwsgiReaderTest() {
        allowed = http::NetworkSet::parse({"10.0.0.0/8"}).value();
        limits.head_ms_max = 1'000;
    }
    ~UwsgiReaderTest() override {
        connection_.reset();
        EXPECT_EQ(pool.out, 0) << "an exchange was lost";
    }
    Connection& open(bool trusted = true, const char* host = "10.0.0.1") {
        connection_ = std::make_unique<Connection>(context_, PeerInfo{host, 1234, 0, trusted}, 0);
        return *connection_;
    }
    // The application answers at once and the kernel takes everything.
    std::string serve(Next& next) {
        answer(*connection_, "hello", true);
        connection_->finished(0);
        std::string sent = drain(connection_->out);
        next = connection_->flushed(0);
        return sent;
    }
    void expect_post(std::string_view body) {
        Exchange& exchange = *connection_->exchange();
        EXPECT_EQ(exchange.text(exchange.head.method), "POST");
        EXPECT_EQ(exchange.text(exchange.script_name), "/app");
        EXPECT_EQ(exchange.text(exchange.head.path), "/app/x");
        EXPECT_EQ(exchange.body_view(), body);
        EXPECT_EQ(exchange.peer.host, "192.0.2.7");
        EXPECT_EQ(exchange.peer.port, 99);
        EXPECT_TRUE(exchange.https());
        ASSERT_TRUE(exchange.peer.facts);
        EXPECT_EQ(exchange.peer.facts->variables[1].second, "joe");
    }

    Limits limits;
    http::NetworkSet allowed;
    CountingPool pool;
    MemorySpills spills;
    http::RequestIdMaker ids{7};
    int64_t now_us = 1;
    UwsgiReader reader{allowed};

  private:
    ConnectionContext context_{limits, pool, spills, ids, now_us, false, &reader};
    std::unique_ptr<Connection> connection_;
};

TEST_F(UwsgiReaderTest, TwoRequestsInARowAtEverySplit) {
    const std::string both = post("first") + post("second one");
    for (size_t cut = 1; cut < both.size(); ++cut) {
        SCOPED_TRACE(cut);
        Connection& connection = open();
        Next next = connection.feed(both.substr(0, cut), 0);
        if (next != Next::kDispatch)
            next = connection.feed(both.substr(cut), 0);
        else
            (void)connection.feed(both.substr(cut), 0);
        ASSERT_EQ(next, Next::kDispatch);
        expect_post("first");
        std::string sent = serve(next);
        EXPECT_NE(sent.find("hello"), std::string::npos);
        ASSERT_EQ(next, Next::kDispatch);
        expect_post("second one");
    }
}

TEST_F(UwsgiReaderTest, WhoIsNotBelievedSaysTheSchemeOnly) {
    Connection& connection = open(false);
    ASSERT_EQ(connection.feed(post("x"), 0), Next::kDispatch);
    Exchange& exchange = *connection.exchange();
    EXPECT_EQ(exchange.peer.host, "10.0.0.1");
    EXPECT_FALSE(exchange.peer.facts);
    EXPECT_TRUE(exchange.script_name.empty());
    EXPECT_TRUE(exchange.https());
}

TEST_F(UwsgiReaderTest, WhoMayNotSpeakIsRefusedAtTheFirstByte) {
    Connection& connection = open(true, "192.0.2.1");
    ASSERT_EQ(connection.feed(std::string(1, '\0'), 0), Next::kRefused);
    EXPECT_EQ(connection.refusal().error, http::Error::kUwsgiUntrusted);
}

TEST_F(UwsgiReaderTest, APacketThatIsNotFinishedIsLate) {
    Connection& silent = open();
    EXPECT_EQ(silent.expire(1'000), Next::kClose);
    Connection& begun = open();
    ASSERT_EQ(begun.feed(post("x").substr(0, 9), 0), Next::kRead);
    EXPECT_EQ(begun.expire(1'000), Next::kRefused);
    EXPECT_EQ(begun.refusal().error, http::Error::kHeadTimeout);
}

TEST_F(UwsgiReaderTest, WhatIsMadeOfAPacketObeysTheRulesOfHeads) {
    Connection& connection = open();
    std::string packet = uwsgi::write_packet({{"REQUEST_METHOD", "GET"}, {"CONTENT_LENGTH", "-1"}});
    EXPECT_EQ(connection.feed(packet, 0), Next::kRefused);
}

TEST_F(UwsgiReaderTest, ThereAreNoChunks) {
    Connection& connection = open();
    ASSERT_EQ(connection.feed(post("x"), 0), Next::kDispatch);
    Exchange& exchange = *connection.exchange();
    ASSERT_EQ(exchange.response.head.set_status("200 OK"), http::HeadFault::kNone);
    exchange.response.begin(exchange.head, {"test", "", true}, -1);
    EXPECT_TRUE(exchange.response.close_delimited());
    EXPECT_FALSE(exchange.response.keep_alive());
    connection.finished(0);
}

}  // namespace
}  // namespace mono::session
