// Bytes in: keep-alive, pipelining, slow and greedy senders, deadlines, and running out of
// descriptors. Over real sockets.
#include <sys/resource.h>

#include "engine/support_test.hpp"

namespace mono::engine {
namespace {

TEST(EngineIo, KeepAliveServesManyRequests) {
    Server server;
    Application application(server.engine());
    Client client = server.client();
    for (int i = 0; i < 200; ++i) {
        client.get("/" + std::to_string(i));
        ASSERT_EQ(client.response(), "/" + std::to_string(i));
    }
    EXPECT_EQ(server->connections_accepted(), 1u);
    // The client may read the last answer before its connection has gone on.
    EXPECT_TRUE(eventually([&server] { return server->totals().answered == 200; }));
}

TEST(EngineIo, PipelinedRequestsAreAnsweredInOrder) {
    Server server;
    Application application(server.engine());
    Client client = server.client();
    std::string stream;
    for (int i = 0; i < 50; ++i)
        stream += "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: a\r\n\r\n";
    ASSERT_TRUE(client.send(stream));
    for (int i = 0; i < 50; ++i) ASSERT_EQ(client.response(), "/" + std::to_string(i));
}

TEST(EngineIo, AByteAtATimeIsARequestToo) {
    Server server;
    Client client = server.client();
    const std::string bytes =
        "POST /slow HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        "5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n";
    std::thread sender([&client, &bytes] {
        for (const char& byte : bytes) {
            client.send({&byte, 1});
            if (&byte - bytes.data() > 20) continue;
            base::pace(1, "a client that sends byte by byte");
        }
    });
    session::Exchange* exchange = server.take();
    sender.join();
    ASSERT_NE(exchange, nullptr);
    EXPECT_EQ(body_of(*exchange), "hello world");
    respond(server.engine(), *exchange, "ok");
    EXPECT_EQ(client.response(), "ok");
}

TEST(EngineIo, ALargeBodyIsWholeWhenTheApplicationSeesIt) {
    Server server;
    Client client = server.client();
    std::string body(9 << 20, '\0');
    for (size_t at = 0; at < body.size(); ++at) body[at] = static_cast<char>(at * 31 >> 3);
    std::thread sender([&client, &body] {
        client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(body.size()) +
                    "\r\n\r\n");
        client.send(body);
    });
    session::Exchange* exchange = server.take();
    sender.join();
    ASSERT_NE(exchange, nullptr);
    EXPECT_TRUE(exchange->body.spilled());
    EXPECT_TRUE(body_of(*exchange) == body);
    respond(server.engine(), *exchange, "ok");
    EXPECT_EQ(client.response(), "ok");
    EXPECT_EQ(open_spills(), 0u);
}

TEST(EngineIo, ContinueIsSaidAtOnce) {
    Server server;
    Client client = server.client();
    ASSERT_TRUE(client.send(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"));
    ASSERT_TRUE(server.turn_until([&client] { return client.receive(0); }));
    EXPECT_EQ(client.unread(), "HTTP/1.1 100 Continue\r\n\r\n");
    ASSERT_TRUE(client.send("ab"));
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    respond(server.engine(), *exchange, "ok");
    EXPECT_TRUE(client.wait_for("ok"));
}

TEST(EngineIo, AMistakeIsAnsweredLoggedAndCounted) {
    Server server;
    Client client = server.client();
    ASSERT_TRUE(client.send("BAD\r\n\r\n and more that nobody reads"));
    ASSERT_TRUE(server.turn_until([&client] { return client.wait_for("</html>", 0); }));
    EXPECT_TRUE(client.unread().starts_with("HTTP/1.1 400 "));
    EXPECT_EQ(server->totals().refused, 1u);
    ASSERT_EQ(server.journal.size(), 1u);
    EXPECT_NE(server.journal[0].text.find("ip=127.0.0.1"), std::string::npos);
    EXPECT_FALSE(server->needs_attention());
    client.close();
    EXPECT_TRUE(server.turn_until([&server] { return server->connections() == 0; }));
    EXPECT_EQ(server->totals().answered, 0u);
}

// The answer is on its way while the client still sends: closing at once would be a reset, which
// takes the answer with it (RFC 9112 section 9.6).
TEST(EngineIo, UnreadInputDoesNotDestroyTheLastAnswer) {
    Server server;
    const std::string body(3 << 20, 'b');
    for (int round = 0; round < 5; ++round) {
        Client client = server.client();
        client.get("/", "Connection: close\r\n");
        session::Exchange* exchange = server.take();
        ASSERT_NE(exchange, nullptr);
        ASSERT_TRUE(client.send(std::string(10'000, 'x')));
        base::pace(5, "until it has arrived, which nobody sees from outside");
        Application others(server.engine());
        respond(server.engine(), *exchange, body);
        const std::string all = client.read_all();
        EXPECT_EQ(client.end(), Client::End::kFin);
        EXPECT_TRUE(all.ends_with(body.substr(0, 100))) << all.size();
    }
}

TEST(EngineIo, AHalfClosedClientIsAnswered) {
    Server server;
    Client client = server.client();
    client.get("/");
    client.finish_sending();
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    respond(server.engine(), *exchange, "hello");
    EXPECT_TRUE(server.turn_until([&server] { return server->connections() == 0; }));
    EXPECT_TRUE(client.read_all().ends_with("hello"));
    EXPECT_EQ(client.end(), Client::End::kFin);
}

TEST(EngineIo, ClientsThatLeaveInAnyPhaseLeaveNothing) {
    Server server;
    const size_t before = open_fds();
    const std::string_view beginnings[] = {
        "",
        "GET",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Le",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab",
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 999999\r\n\r\nab",
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        "BAD\r\n"};
    for (int round = 0; round < 3; ++round) {
        for (std::string_view bytes : beginnings) {
            Client client = server.client();
            ASSERT_TRUE(client.send(bytes));
            const uint64_t accepted = server->connections_accepted() + (round == 2 ? 0 : 1);
            ASSERT_TRUE(
                server.turn_until([&] { return server->connections_accepted() >= accepted; }));
            if (round == 1) client.reset();
        }
    }
    EXPECT_TRUE(server.turn_until([&server] { return server->connections() == 0; }));
    EXPECT_EQ(open_fds(), before);
    EXPECT_EQ(server->totals().answered + server->totals().aborted, 0u);
}

TEST(EngineIo, ARequestWhoseClientLeftIsNotRun) {
    Options options;
    options.slots = 2;
    Server server(std::move(options));
    Client first = server.client();
    first.get("/first");
    session::Exchange* running = server.take();
    ASSERT_NE(running, nullptr);
    // Nobody sees from outside when its bytes have been read: a reset may come too early.
    for (int round = 0; round < 20 && server->totals().aborted == 0; ++round) {
        Client second = server.client();
        second.get("/second");
        ASSERT_TRUE(eventually([&server] { return server->connections() == 2; }));
        base::pace(2 << round / 2,
                   "longer each time: nobody sees from outside when its bytes have been read");
        second.reset();
        ASSERT_TRUE(eventually([&server] { return server->connections() == 1; }));
    }
    EXPECT_EQ(server->totals().aborted, 1u);
    respond(server.engine(), *running, "ok");
    EXPECT_EQ(server.turn(0), nullptr);
    EXPECT_EQ(first.response(), "ok");
}

TEST(EngineIo, DeadlinesOfSlowAndSilentClients) {
    Options options;
    options.limits.head_ms_max = 150;
    options.limits.body_ms_max = 150;
    options.limits.keepalive_ms_max = 150;
    Server server(std::move(options));
    Client silent = server.client();
    Client head = server.client();
    ASSERT_TRUE(head.send("GET / HT"));
    Client body = server.client();
    ASSERT_TRUE(body.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\na"));
    Client kept = server.client();
    kept.get("/");
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    respond(server.engine(), *exchange, "ok");
    EXPECT_EQ(kept.response(), "ok");
    Application others(server.engine());
    EXPECT_EQ(kept.end(), Client::End::kFin);
    EXPECT_EQ(silent.read_all(), "");
    EXPECT_TRUE(head.wait_for("HTTP/1.1 408 "));
    EXPECT_TRUE(body.wait_for("HTTP/1.1 408 "));
    EXPECT_EQ(server->totals().refused, 2u);
    // They linger, and not for ever.
    EXPECT_TRUE(eventually([&server] { return server->connections() == 0; }, 10'000));
}

TEST(EngineIo, WithoutDescriptorsItWaitsAndSaysSoOnce) {
    Server server;
    std::vector<Client> clients;
    for (int i = 0; i < 12; ++i) clients.push_back(server.client());
    for (Client& client : clients) client.send("GET /x HT");  // none may be evicted so soon
    rlimit before{};
    getrlimit(RLIMIT_NOFILE, &before);
    const rlimit few{open_fds() + 3, before.rlim_max};  // the count had one of its own open
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
    const int64_t spent = cpu_ms();
    const int64_t end_ms = base::monotonic_ms() + 300;
    while (base::monotonic_ms() < end_ms) server.turn(10);
    const int64_t used = cpu_ms() - spent;
    const uint32_t held = server->connections();
    const size_t entries = server.journal.size();
    setrlimit(RLIMIT_NOFILE, &before);
    EXPECT_GE(held, 1u);
    EXPECT_LT(held, 12u);
    EXPECT_EQ(entries, 1u);
    EXPECT_LT(used, 500) << "it spins";
    Application application(server.engine());
    for (Client& client : clients) {
        ASSERT_TRUE(client.send("TP/1.1\r\nHost: a\r\n\r\n"));
        EXPECT_EQ(client.response(), "/x");
    }
}

TEST(EngineIo, TheOldestIdleConnectionMakesRoom) {
    Options options;
    options.connections_max = 4;
    Server server(std::move(options));
    Application application(server.engine());
    std::vector<Client> clients;
    for (int i = 0; i < 30; ++i) {
        clients.push_back(server.client());
        clients.back().get("/" + std::to_string(i));
        ASSERT_EQ(clients.back().response(), "/" + std::to_string(i)) << i;
        EXPECT_LE(server->connections(), 4u);
    }
}

// Slow senders cannot hold all there is: who sends a whole request gets through.
TEST(EngineIo, HeadsThatDoNotComeToAnEndMakeRoom) {
    Options options;
    options.connections_max = 4;
    Server server(std::move(options));
    Application application(server.engine());
    std::vector<Client> slow;
    for (int i = 0; i < 10; ++i) {
        slow.push_back(server.client());
        ASSERT_TRUE(slow.back().send("GET /slow HT"));
    }
    Client whole = server.client();
    whole.get("/whole");
    EXPECT_EQ(whole.response(), "/whole");
    slow.front().response();
    EXPECT_EQ(slow.front().status(), 408);
}

TEST(EngineIo, AnotherProtocolIsSaidSeldom) {
    Server server;
    for (int i = 0; i < 3; ++i) {
        Client client = server.client();
        ASSERT_TRUE(client.send(std::string_view("\x16\x03\x01\x02\0\x01", 6)));
        ASSERT_TRUE(server.turn_until([&] { return server->totals().refused == i + 1u; }));
        client.response();
        EXPECT_EQ(client.status(), 400);
    }
    server.turn(0);
    ASSERT_EQ(server.journal.size(), 1u);
    EXPECT_NE(server.journal[0].text.find("These bytes are TLS"), std::string::npos);
    EXPECT_STREQ(server.journal[0].where.function, "note_refusal");
    EXPECT_TRUE(std::string_view(server.journal[0].where.file).ends_with("answers.cpp"));
    EXPECT_GT(server.journal[0].where.line, 0);
}

Options room_for(uint32_t clients) {
    Options options;
    options.clients_max = clients;
    return options;
}

TEST(EngineIo, AFullWorkerLeavesNewcomersInTheKernel) {
    Server server(room_for(2));
    Application application(server.engine());
    Client slow[2] = {server.client(), server.client()};
    for (Client& client : slow) ASSERT_TRUE(client.send("GET /slow HT"));
    ASSERT_TRUE(eventually([&] { return server->connections() == 2; }));
    Client late = server.client();
    late.get("/late");
    EXPECT_LT(base::busy_percent_for(500), 50) << "it spins";
    EXPECT_EQ(server->connections(), 2u);
    slow[0].close();
    EXPECT_EQ(late.response(), "/late");
    EXPECT_LE(server->connections(), 2u);
}

TEST(EngineIo, IdleClientsMakeRoomInAFullWorker) {
    Server server(room_for(2));
    Application application(server.engine());
    std::vector<Client> clients;
    for (int i = 0; i < 10; ++i) {
        clients.push_back(server.client());
        clients.back().get("/" + std::to_string(i));
        ASSERT_EQ(clients.back().response(), "/" + std::to_string(i)) << i;
        EXPECT_LE(server->connections(), 2u);
    }
}

TEST(EngineIo, ConnectionsAreReusedByGeneration) {
    Server server;
    Client first = server.client();
    first.get("/first");
    session::Exchange* late = server.take();
    ASSERT_NE(late, nullptr);
    first.reset();
    // Its link may have died or not; another connection may have its slot.
    Client second = server.client();
    second.get("/second");
    set_head(*late);
    eventually([&] {
        return server->write(*late, {"x", nullptr}, -1, false) == WriteStatus::kGone;
    });
    server->finish(*late);
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    EXPECT_EQ(target_of(*exchange), "/second");
    respond(server.engine(), *exchange, "ok");
    EXPECT_EQ(second.response(), "ok");
    EXPECT_EQ(server->totals().aborted, 1u);
    EXPECT_EQ(server->totals().answered, 1u);
}

TEST(EngineIo, ManyShortConnectionsLeakNothing) {
    Server server;
    Application application(server.engine());
    const size_t before = open_fds();
    for (int i = 0; i < 300; ++i) {
        Client client = server.client();
        client.get("/", i % 2 == 0 ? "Connection: close\r\n" : "");
        ASSERT_EQ(client.response(), "/");
    }
    EXPECT_TRUE(eventually([&server] { return server->connections() == 0; }));
    EXPECT_EQ(open_fds(), before);
}

}  // namespace
}  // namespace mono::engine
