// The end of a worker: nothing that was accepted is lost, and the end comes.
#include <signal.h>

#include "engine/support_test.hpp"

namespace mono::engine {
namespace {

TEST(Drain, WithoutConnectionsItIsOverAtOnce) {
    Server server;
    EXPECT_FALSE(server->drained());
    server->drain(false);
    EXPECT_TRUE(server->drained());
    const int64_t begin_ms = base::monotonic_ms();
    EXPECT_EQ(server->take(10'000, server->wakes()), nullptr);
    EXPECT_LT(base::monotonic_ms() - begin_ms, 5'000);
    server->drain(false);  // twice is once
    EXPECT_TRUE(server->drained());
}

TEST(Drain, IdleAndSilentConnectionsGetAMomentAndThenEnd) {
    Server server;
    Client silent = server.client();
    Client idle = server.client();
    idle.get("/");
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    respond(server.engine(), *exchange, "ok");
    ASSERT_TRUE(idle.response().has_value());
    ASSERT_TRUE(server.turn_until([&server] { return server->connections() == 2; }));
    server->drain(false);
    EXPECT_FALSE(server->drained());
    // The request that crosses our decision.
    idle.get("/late");
    exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    respond(server.engine(), *exchange, "late");
    EXPECT_EQ(idle.response(), "late");
    EXPECT_NE(idle.head.find("Connection: close"), std::string::npos);
    EXPECT_TRUE(server.turn_until([&server] { return server->drained(); }, 10'000));
    EXPECT_EQ(silent.end(), Client::End::kFin);
    EXPECT_EQ(idle.end(), Client::End::kFin);
}

TEST(Drain, ABusyRequestIsAnsweredAndEndsItsConnection) {
    Server server;
    Client client = server.client();
    client.get("/");
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    server->drain(false);
    base::quiet_for(20, "the drain does not end");
    EXPECT_FALSE(server->drained());
    respond(server.engine(), *exchange, "answered");
    EXPECT_EQ(client.response(), "answered");
    EXPECT_NE(client.head.find("Connection: close"), std::string::npos);
    EXPECT_EQ(client.end(), Client::End::kFin);
    EXPECT_TRUE(server.turn_until([&server] { return server->drained(); }));
    EXPECT_EQ(server->totals().answered, 1u);
}

TEST(Drain, ABodyThatIsStillComingIsWaitedFor) {
    Server server;
    Client client = server.client();
    ASSERT_TRUE(client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab"));
    ASSERT_TRUE(server.turn_until([&server] { return server->connections() == 1; }));
    server->drain(false);
    const int64_t end_ms = base::monotonic_ms() + 800;  // longer than the idle ones have
    while (base::monotonic_ms() < end_ms) ASSERT_EQ(server.turn(20), nullptr);
    ASSERT_TRUE(client.send("cd"));
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    EXPECT_EQ(body_of(*exchange), "abcd");
    respond(server.engine(), *exchange, "got it");
    EXPECT_EQ(client.response(), "got it");
    EXPECT_TRUE(server.turn_until([&server] { return server->drained(); }));
}

TEST(Drain, ASlowReaderGetsItsWholeAnswer) {
    Server server({}, 16 * 1024);
    Client client = server.client(16 * 1024);
    client.get("/");
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    const std::string body(1'000'000, 'x');
    respond(server.engine(), *exchange, body);
    server->drain(false);
    Application rest(server.engine());
    base::quiet_for(700, "a drain waits for bytes that nobody has taken");
    EXPECT_FALSE(server->drained());
    EXPECT_EQ(client.response(), body);
    EXPECT_TRUE(eventually([&server] { return server->drained(); }));
}

TEST(Drain, NobodyNewIsAccepted) {
    Server server;
    Client first = server.client();
    first.get("/");
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    server->drain(false);
    Client late = server.client();
    late.get("/late");
    respond(server.engine(), *exchange, "ok");
    EXPECT_TRUE(server.turn_until([&server] { return server->drained(); }));
    EXPECT_EQ(server->connections_accepted(), 1u);
}

// A stop for good: who stood in the kernel's queue is served, and nobody is let in afterwards.
TEST(Drain, ForGoodServesTheKernelsQueue) {
    Server server;
    Client first = server.client();
    first.get("/first");
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    std::vector<Client> queued;  // the only slot is busy: nobody accepts them
    for (int i = 0; i < 20; ++i) {
        queued.push_back(server.client());
        queued.back().get("/queued");
    }
    server->drain(true);
    respond(server.engine(), *exchange, "first");
    EXPECT_EQ(first.response(), "first");
    for (size_t i = 0; i < queued.size(); ++i) {
        exchange = server.take();
        ASSERT_NE(exchange, nullptr);
        respond(server.engine(), *exchange, "queued");
    }
    for (Client& client : queued) {
        EXPECT_EQ(client.response(), "queued");
        EXPECT_NE(client.head.find("Connection: close"), std::string::npos);
    }
    EXPECT_TRUE(server.turn_until([&server] { return server->drained(); }));
    EXPECT_FALSE(server.client().connected());
    EXPECT_EQ(server->totals().answered, 21u);
}

TEST(Drain, ForGoodAcceptsForAsLongAsItIsTold) {
    Options options;
    options.limits.drain_delay_ms = 400;
    options.limits.readiness_path = "/ready";
    Server server(std::move(options));
    {
        Client probe = server.client();
        probe.get("/ready");
        EXPECT_TRUE(server.turn_until([&] { return server->totals().answered == 1; }));
        EXPECT_EQ(probe.response(), "ready\n");
        EXPECT_EQ(probe.status(), 200);
    }
    server->drain(true);
    Client probe = server.client();
    probe.get("/ready?x");
    EXPECT_TRUE(server.turn_until([&] { return server->totals().answered == 2; }));
    EXPECT_EQ(probe.response(), "stopping\n");
    EXPECT_EQ(probe.status(), 503);
    Client late = server.client();
    late.get("/late");
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    respond(server.engine(), *exchange, "late");
    EXPECT_EQ(late.response(), "late");
    EXPECT_TRUE(server.turn_until([&server] { return server->drained(); }));
    EXPECT_FALSE(server.client().connected());
}

TEST(Drain, AHurryRefusesWhatCannotBeServed) {
    Options options;
    options.limits.hurry_ms = 300;
    Server server(std::move(options));
    Client kept = kept_alive(server);
    Client half = server.client();
    ASSERT_TRUE(half.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf"));
    ASSERT_TRUE(server.turn_until([&] { return server->connections() == 2; }));
    Client slow = server.client();
    slow.get("/slow");
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    kept.get("/waits");
    ASSERT_TRUE(eventually([&] { return server->totals().accepted == 3; }));
    server->drain(true);
    for (Client* client : {&kept, &half}) {
        EXPECT_TRUE(client->response().has_value());
        EXPECT_EQ(client->status(), 503);
        EXPECT_NE(client->head.find("Retry-After: "), std::string::npos);
    }
    respond(server.engine(), *exchange, "slow");
    EXPECT_EQ(slow.response(), "slow");
    EXPECT_TRUE(server.turn_until([&server] { return server->drained(); }));
    const board::Totals totals = server->totals();
    EXPECT_EQ(totals.accepted, totals.answered + totals.refused + totals.aborted);
    EXPECT_EQ(totals.refused, 2u);
}

// Its iterable is closed, as if the client had left, while there is time for that.
TEST(Drain, AStreamIsCutAtTheEnd) {
    Options options;
    options.limits.hurry_ms = 300;
    options.limits.stream_grace_ms = 200;
    options.slots = 2;
    Server server(std::move(options));
    Client stream = server.client();
    Client slow = server.client();
    stream.get("/stream");
    session::Exchange* streaming = server.take();
    slow.get("/slow");
    session::Exchange* quiet = server.take();
    ASSERT_TRUE(streaming != nullptr && quiet != nullptr);
    const auto write = [&] {
        return server->write(*streaming, {"tick", nullptr}, -1, false) != WriteStatus::kGone;
    };
    ASSERT_TRUE(write());
    const int64_t begin_ms = base::monotonic_ms();
    server->drain(true);
    EXPECT_NE(server->drain_stage(), DrainStage::kOutOfTime);
    EXPECT_TRUE(eventually([&] { return !write(); }));
    EXPECT_GE(base::monotonic_ms() - begin_ms, 500);
    EXPECT_EQ(server->drain_stage(), DrainStage::kOutOfTime);
    server->abandon(*streaming);
    respond(server.engine(), *quiet, "slow");  // had not begun: it may still be answered
    EXPECT_EQ(slow.response(), "slow");
    EXPECT_FALSE(stream.read_all().ends_with("0\r\n\r\n"));
    EXPECT_TRUE(server.turn_until([&server] { return server->drained(); }));
}

std::atomic<int> end_rings{0};

// Neither writes nor has begun: whoever runs it is rung for, again and again until it has ended.
TEST(Drain, WhoRunsAnApplicationHearsThatTheTimeIsOver) {
    struct sigaction action {};
    action.sa_handler = [](int) { ++end_rings; };
    ASSERT_EQ(sigaction(SIGRTMIN + 5, &action, nullptr), 0);
    Options options;
    options.limits.hurry_ms = 300;
    options.overdue_signal = SIGRTMIN + 5;
    Server server(std::move(options));
    Client client = server.client();
    client.get("/");
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    end_rings = 0;
    server->drain(true);
    EXPECT_TRUE(eventually([] { return end_rings >= 2; }));
    EXPECT_EQ(server->drain_stage(), DrainStage::kOutOfTime);
    respond(server.engine(), *exchange, "late");
    EXPECT_TRUE(server.turn_until([&server] { return server->drained(); }));
    end_rings = 0;
}

// The client of the last busy request has left: threads that wait must neither spin nor stay.
TEST(Drain, WaitsForAnApplicationWithoutAClient) {
    Options options;
    options.slots = 3;
    Server server(std::move(options));
    Client client = server.client();
    client.get("/");
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    client.reset();
    ASSERT_TRUE(eventually([&server] { return server->connections() == 0; }));
    server->drain(false);
    std::atomic<int> rounds{0};
    std::vector<std::thread> takers;
    for (int i = 0; i < 2; ++i)
        takers.emplace_back([&] {
            while (!server->drained()) {
                EXPECT_EQ(server->take(1'000, server->wakes()), nullptr);
                ++rounds;
            }
        });
    base::quiet_for(300, "nobody spins");
    EXPECT_LT(rounds, 20) << "they spin";
    server->finish(*exchange);
    for (std::thread& taker : takers) taker.join();
    EXPECT_TRUE(server->drained());
}

// A worker that has nothing left stays for its siblings' requests, and sleeps meanwhile.
TEST(Drain, AWaitForSiblingsIsNoSpin) {
    Siblings siblings;
    Server server(siblings.options(0));
    siblings.board().slot(1).slots = 1;
    siblings.board().slot(1).busy = 2;
    server->drain(true);
    int64_t end_ms = base::monotonic_ms() + 700;  // past drain_delay, the idle time and the FIN
    while (base::monotonic_ms() < end_ms) server.turn(50);
    int turns = 0;
    for (end_ms = base::monotonic_ms() + 300; base::monotonic_ms() < end_ms; ++turns)
        server.turn(100);
    EXPECT_LE(turns, 10);
    EXPECT_FALSE(server->drained());
    siblings.board().slot(1).busy = 1;
    EXPECT_TRUE(server.turn_until([&server] { return server->drained(); }));
}

}  // namespace
}  // namespace mono::engine
