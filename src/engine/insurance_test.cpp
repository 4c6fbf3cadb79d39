// What a crashing worker does for its clients, without the crash (os/crash_handler_test.cpp,
// tests/integration/test_deaths.py have it).
#include "engine/insurance.hpp"

#include "engine/support_test.hpp"

namespace mono::engine {
namespace {

Client busy(Server& server, session::Exchange*& exchange, const std::string& path) {
    Client client = server.client();
    client.get(path);
    exchange = server.take();
    EXPECT_NE(exchange, nullptr);
    return client;
}

TEST(Insurance, WaitingClientsAreAnsweredAndQueuedRequestsHandedOn) {
    Siblings siblings;
    Server server(siblings.options(0));
    Client queued = kept_alive(server);
    session::Exchange* running = nullptr;
    Client waiting = busy(server, running, "/running");
    const std::string id(running->request_id());
    queued.get("/queued");
    ASSERT_TRUE(eventually([&] { return server->totals().accepted == 3; }));
    server->pay_insurance(false);
    ASSERT_TRUE(waiting.response().has_value());
    EXPECT_EQ(waiting.status(), 502);
    EXPECT_NE(waiting.head.find("X-Request-ID: " + id), std::string::npos);
    EXPECT_EQ(waiting.end(), Client::End::kFin);
    EXPECT_EQ(server->totals().accepted, 2u);
    EXPECT_EQ(server->totals().refused, 1u);
    // Any other worker, even one that is made later, finds the queued one.
    Relay relay(siblings.relay(), &siblings.board().header().parcels);
    std::optional<Parcel> parcel = relay.receive();
    ASSERT_TRUE(parcel.has_value());
    EXPECT_TRUE(parcel->head.starts_with("GET /queued HTTP/1.1\r\n"));
    server->abandon(*running);
    EXPECT_EQ(server->totals().aborted, 0u) << "counted twice";
}

// A sibling that read on in the middle of the next request would take its body for a request.
TEST(Insurance, WhatCameBehindAQueuedRequestGoesWithIt) {
    Siblings siblings;
    Server server(siblings.options(0));
    Client queued = kept_alive(server);
    session::Exchange* running = nullptr;
    Client waiting = busy(server, running, "/running");
    const std::string rest =
        "POST /next HTTP/1.1\r\nHost: a\r\nContent-Length: 40\r\n\r\nGET /evil ";
    ASSERT_TRUE(queued.send("GET /queued HTTP/1.1\r\nHost: a\r\n\r\n" + rest));
    ASSERT_TRUE(eventually([&] { return server->totals().accepted == 3; }));
    server->pay_insurance(false);
    Relay relay(siblings.relay(), &siblings.board().header().parcels);
    std::optional<Parcel> parcel = relay.receive();
    ASSERT_TRUE(parcel.has_value());
    EXPECT_EQ(parcel->pipelined, rest);
    EXPECT_EQ(server.turn(50), nullptr) << "begun here as well";
    server->abandon(*running);
    server.destroy();
    const board::Ledger& ledger = siblings.board().slot(0).ledger;
    EXPECT_EQ(ledger.accepted, ledger.answered + ledger.refused + ledger.aborted);
    EXPECT_EQ(queued.end(), Client::End::kOpen) << "the sibling has it";
}

TEST(Insurance, AnswersThatHaveBegunAreLeftAlone) {
    Siblings siblings;
    Server server(siblings.options(0));
    session::Exchange* running = nullptr;
    Client client = busy(server, running, "/");
    set_head(*running);
    server->write(*running, {"begun", nullptr}, 10, false);
    ASSERT_TRUE(client.wait_for("begun"));
    server->pay_insurance(true);
    EXPECT_FALSE(client.receive(100));
    EXPECT_EQ(client.unread().find("504"), std::string::npos);
    server->abandon(*running);
}

TEST(Insurance, AnAbortForLatenessIs504AndHeadHasNoBody) {
    Siblings siblings;
    Server server(siblings.options(0));
    Client client = server.client();
    ASSERT_TRUE(client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"));
    session::Exchange* running = server.take();
    ASSERT_NE(running, nullptr);
    server->pay_insurance(true);
    const std::string answer = client.read_all();
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 504 Gateway Timeout\r\n"));
    EXPECT_TRUE(answer.ends_with("\r\n\r\n"));
    server->abandon(*running);
}

TEST(Insurance, WhoWasAnsweredAlreadyIsNotAnsweredAgain) {
    Siblings siblings;
    Options options = siblings.options(0);
    options.limits.request_ms_max = 50;
    Server server(std::move(options));
    session::Exchange* running = nullptr;
    Client client = busy(server, running, "/");
    ASSERT_TRUE(client.response().has_value());
    EXPECT_EQ(client.status(), 504);
    server->pay_insurance(false);
    EXPECT_EQ(client.end(), Client::End::kFin);
    EXPECT_EQ(client.unread(), "");
    server->abandon(*running);
}

}  // namespace
}  // namespace mono::engine
