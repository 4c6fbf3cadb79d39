// Beside a slow application: what the standby thread does, and what it must not do. The test's own
// thread is the application: it holds an exchange and does nothing.
#include <fcntl.h>
#include <sys/wait.h>

#include "engine/support_test.hpp"

namespace mono::engine {
namespace {

session::Exchange* busy(Server& server, Client& client) {
    client.get("/busy");
    session::Exchange* exchange = server.take();
    EXPECT_NE(exchange, nullptr);
    return exchange;
}

// PEP 3333: a piece is not delayed until the application makes the next.
TEST(Standby, HeldPiecesLeaveWhileTheApplicationSleeps) {
    Server server;
    Client client = server.client();
    session::Exchange* exchange = busy(server, client);
    ASSERT_NE(exchange, nullptr);
    set_head(*exchange);
    int64_t best_us = INT64_MAX;
    for (int round = 0; round < 20; ++round) {
        const std::string piece = "piece " + std::to_string(round) + ";";
        const int64_t begin_us = base::monotonic_us();
        ASSERT_EQ(server->write(*exchange, {piece, nullptr}, -1, false), WriteStatus::kDone);
        ASSERT_TRUE(client.wait_for(piece)) << round;
        best_us = std::min(best_us, base::monotonic_us() - begin_us);
        // Sometimes long enough that the standby flies, or looks slowly.
        base::pace(round * 3, "sometimes long enough that the standby flies, or looks slowly");
    }
    EXPECT_LT(best_us, 20'000);
    server->write(*exchange, {}, -1, true);
    server->finish(*exchange);
    EXPECT_TRUE(client.wait_for("0\r\n\r\n"));
}

TEST(Standby, ReadsAndRefusesBesideASlowApplication) {
    Options options;
    options.limits.head_ms_max = 150;
    Server server(std::move(options));
    Client late = server.client();
    Client wrong = server.client();
    ASSERT_TRUE(late.send("GET"));
    ASSERT_TRUE(wrong.send("GET"));
    ASSERT_TRUE(server.turn_until([&server] { return server->connections() == 2; }));
    Client client = server.client();
    session::Exchange* exchange = busy(server, client);
    ASSERT_NE(exchange, nullptr);
    ASSERT_TRUE(wrong.send("\r\n"));
    EXPECT_TRUE(wrong.wait_for("HTTP/1.1 400 "));
    EXPECT_TRUE(late.wait_for("HTTP/1.1 408 "));
    respond(server.engine(), *exchange, "ok");
}

TEST(Standby, SendsOnToASlowReader) {
    Server server({}, 16 * 1024);
    Client slow = server.client(16 * 1024);
    slow.get("/");
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    const std::string body(2'000'000, 'x');
    respond(server.engine(), *exchange, body);
    Client client = server.client();
    exchange = busy(server, client);
    ASSERT_NE(exchange, nullptr);
    EXPECT_EQ(slow.response(), body);
    respond(server.engine(), *exchange, "ok");
}

TEST(Standby, ALoneSlotAcceptsNobodyMeanwhile) {
    Options options;
    options.shared_listeners = true;
    Server server(std::move(options));
    Client client = server.client();
    session::Exchange* exchange = busy(server, client);
    ASSERT_NE(exchange, nullptr);
    Client second = server.client();
    second.get("/second");
    base::quiet_for(100, "nobody accepts");
    EXPECT_EQ(server->connections(), 1u) << "a sibling could have had it";
    respond(server.engine(), *exchange, "ok");
    exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    EXPECT_EQ(target_of(*exchange), "/second");
    respond(server.engine(), *exchange, "ok");
    EXPECT_EQ(second.response(), "ok");
}

// Slots that fill up while the standby is in the seat.
TEST(Standby, DoesNotSpinOnAListenerItMayNotServe) {
    Options options;
    options.slots = 3;
    Server server(std::move(options));
    Client client = server.client();
    session::Exchange* exchange = busy(server, client);
    ASSERT_NE(exchange, nullptr);
    std::vector<Client> others;
    for (int i = 0; i < 6; ++i) {
        others.push_back(server.client());
        others.back().get("/" + std::to_string(i));
        base::pace(20, "clients that come one after the other");
    }
    EXPECT_LT(base::busy_percent_for(500), 16) << "it spins";
    respond(server.engine(), *exchange, "ok");
    Application application(server.engine());
    for (int i = 0; i < 6; ++i) EXPECT_EQ(others[i].response(), "/" + std::to_string(i));
}

// A pilot that sits in the poller when a slot becomes free elsewhere.
TEST(Standby, AFreedSlotOpensTheListenersUnderAPilot) {
    Options options;
    options.slots = 1;
    Server server(std::move(options));
    Client client = server.client();
    session::Exchange* exchange = busy(server, client);
    ASSERT_NE(exchange, nullptr);
    std::atomic<session::Exchange*> taken{nullptr};
    std::thread pilot([&] { taken = server->take(15'000, server->wakes()); });
    base::pace(50, "the taker gets into its wait, which nobody sees from outside");
    const int64_t begin_ms = base::monotonic_ms();
    respond(server.engine(), *exchange, "ok");
    Client second = server.client();
    second.get("/second");
    pilot.join();
    EXPECT_LT(base::monotonic_ms() - begin_ms, 10'000);
    session::Exchange* found = taken;
    ASSERT_NE(found, nullptr);
    respond(server.engine(), *found, "ok");
}

TEST(Standby, LearnsThatAClientLeftBeforeTheApplicationWrites) {
    Server server;
    Client client = server.client();
    session::Exchange* exchange = busy(server, client);
    ASSERT_NE(exchange, nullptr);
    client.reset();  // a connection that never was in the poller
    EXPECT_TRUE(eventually([&server] { return server->connections() == 0; }));
    set_head(*exchange);
    EXPECT_EQ(server->write(*exchange, {"x", nullptr}, 1, true), WriteStatus::kGone);
    server->finish(*exchange);
}

TEST(Standby, ALongExchangeOutlivesItsLinkAndManyOthers) {
    Options options;
    options.slots = 2;
    Server server(std::move(options));
    Client first = server.client();
    session::Exchange* exchange = busy(server, first);
    ASSERT_NE(exchange, nullptr);
    first.reset();
    ASSERT_TRUE(eventually([&server] { return server->connections() == 0; }));
    Application others(server.engine());
    for (int i = 0; i < 50; ++i) {
        Client client = server.client();
        client.get("/" + std::to_string(i));
        ASSERT_EQ(client.response(), "/" + std::to_string(i));
    }
    EXPECT_EQ(target_of(*exchange), "/busy");
    set_head(*exchange);
    EXPECT_EQ(server->write(*exchange, {"x", nullptr}, -1, true), WriteStatus::kGone);
    server->finish(*exchange);
}

TEST(Standby, RestsWhenNothingRuns) {
    Server server;
    Client client = server.client();
    session::Exchange* exchange = busy(server, client);
    ASSERT_NE(exchange, nullptr);
    respond(server.engine(), *exchange, "ok");
    base::pace(1'500, "the standby goes to rest");
    EXPECT_LT(base::busy_percent_for(500), 10);
}

TEST(Engine, DestroyedInAnyStateItLeavesNoDescriptor) {
    const size_t before = open_fds();
    for (int state = 0; state < 8; ++state) {
        Server server({}, 16 * 1024);
        Client client = server.client(16 * 1024);
        session::Exchange* exchange = nullptr;
        switch (state) {
            case 0:
                break;
            case 1:
                client.send("GET");
                break;
            case 2:
                client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 900000\r\n\r\nx");
                break;
            case 3:
                client.send("BAD\r\n");
                break;
            default:
                client.get("/");
                exchange = server.take();
                ASSERT_NE(exchange, nullptr);
        }
        if (exchange == nullptr) {
            server.turn_until([&server] { return server->connections() == 1; });
            server.turn(10);
        } else if (state == 4) {
            respond(server.engine(), *exchange, "kept alive");
        } else if (state == 5) {
            respond(server.engine(), *exchange, std::string(3'000'000, 'x'));
        } else if (state == 6) {
            set_head(*exchange);
            server->write_file(*exchange, open("/proc/self/exe", O_RDONLY), 0, 1'000'000);
            server->finish(*exchange);
        } else {
            server->abandon(*exchange);
            server->drain(false);
        }
        server.destroy();
    }
    EXPECT_EQ(open_fds(), before);
}

// An application may fork and leave by the interpreter's ordinary end.
TEST(Engine, AForkedChildMayDestroyItsCopy) {
    Server server;
    Client client = server.client();
    session::Exchange* exchange = busy(server, client);
    ASSERT_NE(exchange, nullptr);
    std::thread waiter([&server] { server->take(3'000, server->wakes()); });
    base::pace(50, "the waiter gets into its wait");
    const pid_t child = fork();
    if (child == 0) {
        alarm(10);
        server.destroy();
        _exit(0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
    respond(server.engine(), *exchange, "still ours");
    EXPECT_EQ(client.response(), "still ours");
    server->wake();
    waiter.join();
}

}  // namespace
}  // namespace mono::engine
