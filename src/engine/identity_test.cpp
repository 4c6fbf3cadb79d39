// Who a request is and how long it took: in what the engine hands out, answers and logs.
#include "engine/support_test.hpp"

namespace mono::engine {
namespace {

Options named() {
    Options options;
    options.limits.request_id_header = "X-Request-ID";
    options.limits.trust.forwarded_allow_ips = http::NetworkSet::parse({"127.0.0.1/32"}).value();
    return options;
}

TEST(Identity, TwoEnginesMakeDifferentIds) {
    std::string ids[2];
    for (std::string& id : ids) {
        Server server;
        Client client = server.client();
        client.get("/");
        session::Exchange* exchange = server.take();
        ASSERT_NE(exchange, nullptr);
        id = exchange->request_id();
        EXPECT_EQ(id.size(), 28U);
        respond(server.engine(), *exchange, "");
    }
    EXPECT_NE(ids[0].substr(0, 16), ids[1].substr(0, 16));
}

TEST(Identity, ARequestPassesTheStationsInTheirOrder) {
    Server server;
    Client client = server.client();
    const std::string start = std::to_string(base::unix_us() - 5'000);
    client.get("/", "X-Request-Start: t=" + start + "\r\n");
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    EXPECT_EQ(exchange->balancer_us, 0) << "nobody here is trusted";
    EXPECT_EQ(exchange->balancer_wait_us(), -1);
    EXPECT_GT(exchange->accepted_us, 0);
    EXPECT_LE(exchange->accepted_us, exchange->started_us);
    EXPECT_LE(exchange->started_us, exchange->ready_us);
    EXPECT_LE(exchange->ready_us, exchange->dispatched_us);
    EXPECT_EQ(exchange->application_us(), -1) << "it is still at it";
    respond(server.engine(), *exchange, "");
}

TEST(Identity, ATrustedProxysStampIsMeasured) {
    Server server(named());
    Client client = server.client();
    const std::string start = std::to_string(base::unix_us() - 5'000'000);
    client.get("/", "X-Request-Start: " + start + "\r\n");
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    EXPECT_GE(exchange->balancer_wait_us(), 5'000'000);
    respond(server.engine(), *exchange, "");
}

// One slot, taken: the second request waits, and that is what its queue time says.
TEST(Identity, WaitingForASlotIsQueueTime) {
    Server server;
    Client first = server.client();
    Client second = server.client();
    first.get("/first");
    session::Exchange* running = server.take();
    ASSERT_NE(running, nullptr);
    second.get("/second");
    EXPECT_EQ(server.take(100), nullptr);
    respond(server.engine(), *running, "");
    session::Exchange* waited = server.take();
    ASSERT_NE(waited, nullptr);
    // At most from its reading to the end of the first; the standby may have read it late.
    EXPECT_GE(waited->queue_us(), 0);
    EXPECT_GE(waited->dispatched_us, waited->ready_us);
    respond(server.engine(), *waited, "");
}

TEST(Identity, AnAnswerCarriesTheId) {
    Server server(named());
    Client client = server.client();
    client.get("/", "X-Request-ID: from-proxy\r\n");
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    respond(server.engine(), *exchange, "hello");
    ASSERT_TRUE(client.wait_for("hello"));
    EXPECT_NE(client.unread().find("\r\nX-Request-ID: from-proxy\r\n"), std::string::npos);
    EXPECT_EQ(client.unread().find("Server-Timing"), std::string::npos);
}

TEST(Identity, WhatTheApplicationSaysIsNotSaidTwice) {
    Server server(named());
    Client client = server.client();
    client.get("/", "X-Request-ID: from-proxy\r\n");
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    set_head(*exchange);
    EXPECT_EQ(exchange->response.head.add("x-request-id", "own"), http::HeadFault::kNone);
    server->write(*exchange, {"hello", nullptr}, 5, true);
    server->finish(*exchange);
    ASSERT_TRUE(client.wait_for("hello"));
    EXPECT_NE(client.unread().find("\r\nx-request-id: own\r\n"), std::string::npos);
    EXPECT_EQ(client.unread().find("from-proxy"), std::string::npos);
}

TEST(Identity, PagesOfTheServersOwnCarryItToo) {
    Server server(named());
    Client client = server.client();
    client.get("/", "X-Request-ID: failed-one\r\n");
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    server->write_error(*exchange, 500, "");
    server->finish(*exchange);
    EXPECT_NE(client.read_all().find("\r\nX-Request-ID: failed-one\r\n"), std::string::npos);
}

TEST(Identity, ARefusalNamesTheRequest) {
    Server server(named());
    Client client = server.client();
    ASSERT_TRUE(client.send("GET / HTTP/1.1\r\nX-Request-ID: bad-one\r\nHost : a\r\n\r\n"));
    ASSERT_TRUE(server.turn_until([&] { return !server.journal.empty(); }));
    EXPECT_NE(server.journal[0].text.find("request id bad-one]"), std::string::npos)
        << server.journal[0].text;
    Application others(server.engine());
    EXPECT_NE(client.read_all().find("\r\nX-Request-ID: bad-one\r\n"), std::string::npos);
}

TEST(Identity, ServerTimingTellsOfTheLegs) {
    Options options = named();
    options.server_timing = true;
    Server server(std::move(options));
    Client client = server.client();
    const std::string start = std::to_string(base::unix_us() - 5'000'000);
    client.get("/", "X-Queue-Start: t=" + start + "\r\n");
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    respond(server.engine(), *exchange, "hello");
    ASSERT_TRUE(client.wait_for("hello"));
    const std::string head(client.unread());
    const size_t at = head.find("\r\nServer-Timing: balancer;dur=");
    ASSERT_NE(at, std::string::npos) << head;
    const std::string line = head.substr(at + 2, head.find("\r\n", at + 2) - at - 2);
    EXPECT_NE(line.find(", queue;dur="), std::string::npos) << line;
    EXPECT_NE(line.find(", app;dur="), std::string::npos) << line;
    EXPECT_EQ(line[line.size() - 4], '.') << line;
}

}  // namespace
}  // namespace mono::engine
