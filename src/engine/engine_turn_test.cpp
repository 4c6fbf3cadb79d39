// The nested engine: an event loop that is not ours drives it by turn(), and its descriptor must
// tell the whole truth. The loop here is poll(2) on fileno() and nothing else.
#include <fcntl.h>

#include "engine/support_test.hpp"

namespace mono::engine {
namespace {

TEST(EngineTurn, ServesFromTheDescriptorAlone) {
    Server server(nested(false));
    Loop loop(server.engine());
    Client client = server.client();
    for (int i = 0; i < 20; ++i) {
        client.get("/" + std::to_string(i));
        session::Exchange* exchange = loop.next();
        ASSERT_NE(exchange, nullptr);
        respond(server.engine(), *exchange, target_of(*exchange));
        ASSERT_EQ(client.response(), "/" + std::to_string(i));
    }
    EXPECT_EQ(server->totals().answered, 20u);
}

TEST(EngineTurn, HandsOutNoMoreThanThereIsRoomFor) {
    Server server(nested(false));
    Client clients[] = {server.client(), server.client(), server.client()};
    for (Client& client : clients) client.get("/");
    Turn turn;
    ASSERT_TRUE(eventually([&] {
        server->turn(turn, 0);
        return server->totals().accepted == 3;
    }));
    EXPECT_TRUE(turn.ready.empty());
    server->turn(turn, 2);
    EXPECT_EQ(turn.ready.size(), 2u);
    server->turn(turn);
    ASSERT_EQ(turn.ready.size(), 3u);
    for (session::Exchange* exchange : turn.ready) respond(server.engine(), *exchange, "ok");
    for (Client& client : clients) EXPECT_EQ(client.response(), "ok");
}

// Begins an answer of this type to the client's request.
session::Exchange* stream(Server& server, Loop& loop, Client& client, std::string_view type) {
    client.get("/");
    session::Exchange* exchange = loop.next();
    if (exchange == nullptr) return nullptr;
    http::ResponseHead& head = exchange->response.head;
    EXPECT_EQ(head.set_status("200 OK"), http::HeadFault::kNone);
    EXPECT_EQ(head.add("Content-Type", type), http::HeadFault::kNone);
    EXPECT_EQ(server->write(*exchange, {"tick", nullptr}, -1, false), WriteStatus::kDone);
    return exchange;
}

TEST(EngineTurn, ADrainTellsStreamsWithoutAnEnd) {
    Options options = nested(true);
    options.limits.stream_grace_ms = 200;
    Server server(std::move(options));
    Loop loop(server.engine());
    Client clients[] = {server.client(), server.client(), server.client()};
    session::Exchange* early = stream(server, loop, clients[0], "text/event-stream; charset=utf-8");
    session::Exchange* download = stream(server, loop, clients[1], "text/csv");
    ASSERT_TRUE(early != nullptr && download != nullptr);
    const int64_t begin_ms = base::monotonic_ms();
    server->drain(false);
    clients[2].get("/late");
    session::Exchange* late = loop.next();
    ASSERT_NE(late, nullptr);
    EXPECT_TRUE(loop.run_until([&] { return loop.saw(EventKind::kFarewell); }, kPatienceMs, 10));
    EXPECT_GE(base::monotonic_ms() - begin_ms, 200);
    ASSERT_EQ(loop.events.size(), 1u);
    EXPECT_EQ(loop.events[0].exchange.place, early->place);
    http::ResponseHead& head = late->response.head;
    EXPECT_EQ(head.set_status("200 OK"), http::HeadFault::kNone);
    EXPECT_EQ(head.add("content-type", "Text/Event-Stream"), http::HeadFault::kNone);
    EXPECT_EQ(server->write(*late, {"tick", nullptr}, -1, false), WriteStatus::kDone);
    EXPECT_TRUE(loop.run_until([&] { return loop.events.size() == 2; }));
    EXPECT_EQ(loop.events[1].exchange.place, late->place);
    for (session::Exchange* exchange : {early, download, late}) server->abandon(*exchange);
}

TEST(EngineTurn, ABodyIsStreamedAndWhole) {
    Server server(nested(true));
    Loop loop(server.engine());
    Client client = server.client();
    std::string sent(3 << 20, '\0');
    for (size_t at = 0; at < sent.size(); ++at) sent[at] = static_cast<char>(at * 7 >> 2);
    for (bool chunked : {false, true}) {
        std::thread sender([&] {
            client.send("POST / HTTP/1.1\r\nHost: a\r\n");
            if (chunked) {
                client.send("Transfer-Encoding: chunked\r\n\r\n300000\r\n");
                client.send(sent);
                client.send("\r\n0\r\n\r\n");
            } else {
                client.send("Content-Length: " + std::to_string(sent.size()) + "\r\n\r\n");
                client.send(sent);
            }
        });
        session::Exchange* exchange = loop.next();
        EXPECT_NE(exchange, nullptr);
        EXPECT_TRUE(exchange->streamed);
        EXPECT_TRUE(loop.body(*exchange) == sent);
        sender.join();
        respond(server.engine(), *exchange, "ok");
        ASSERT_EQ(client.response(), "ok");
    }
}

TEST(EngineTurn, ASlowApplicationStopsItsSender) {
    Server server(nested(true));
    Loop loop(server.engine());
    Client client = server.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 90000000\r\n\r\n");
    session::Exchange* exchange = loop.next();
    ASSERT_NE(exchange, nullptr);
    std::thread sender([&client] {
        std::string body;
        body.resize(90'000'000, 'x');
        client.send(body);
    });
    const int64_t end_ms = base::monotonic_ms() + 300;
    loop.run_until([end_ms] { return base::monotonic_ms() > end_ms; }, kPatienceMs, 10);
    EXPECT_LE(exchange->incoming.size(), session::kStreamHighBytes + session::kReceiveBytes);
    EXPECT_EQ(loop.body(*exchange).size(), 90'000'000u);
    sender.join();
    respond(server.engine(), *exchange, "ok");
    EXPECT_EQ(client.response(), "ok");
}

TEST(EngineTurn, AClientThatLeavesIsAnEvent) {
    for (bool reset : {false, true}) {
        Server server(nested(true));
        Loop loop(server.engine());
        Client client = server.client();
        client.get("/");
        session::Exchange* exchange = loop.next();
        ASSERT_NE(exchange, nullptr);
        if (reset) {
            client.reset();
        } else {
            client.close();
        }
        EXPECT_TRUE(loop.run_until([&loop] { return loop.saw(EventKind::kGone); }));
        set_head(*exchange);
        EXPECT_EQ(server->write(*exchange, {"x", nullptr}, -1, true), WriteStatus::kGone);
        server->finish(*exchange);
        EXPECT_EQ(server->totals().aborted, 1u);
    }
}

TEST(EngineTurn, RoomIsAnEvent) {
    Server server(nested(false), 16 * 1024);
    Loop loop(server.engine());
    Client client = server.client(16 * 1024);
    client.get("/");
    session::Exchange* exchange = loop.next();
    ASSERT_NE(exchange, nullptr);
    set_head(*exchange);
    const std::string body(3'000'000, 'x');
    server->write(*exchange, {body, nullptr}, -1, false);
    ASSERT_GT(server->unsent(*exchange), session::kOutputHighBytes);
    exchange->wants_room = true;
    std::thread reader([&client, &body] { EXPECT_EQ(client.response(), body); });
    EXPECT_TRUE(loop.run_until([&loop] { return loop.saw(EventKind::kRoom); }));
    EXPECT_LE(server->unsent(*exchange), session::kOutputLowBytes);
    server->write(*exchange, {}, -1, true);
    server->finish(*exchange);
    loop.run_until([&server] { return server->totals().answered == 1; });
    reader.join();
}

// A long answer to a fast reader: each turn is cut short, and the descriptor says so.
TEST(EngineTurn, ATurnThatIsCutShortIsInTheDescriptor) {
    Server server(nested(false));
    Loop loop(server.engine());
    Client client = server.client();
    client.get("/");
    session::Exchange* exchange = loop.next();
    ASSERT_NE(exchange, nullptr);
    set_head(*exchange);
    os::Fd file(open("/dev/shm", O_TMPFILE | O_RDWR, 0600));
    if (!file) GTEST_SKIP() << "no /dev/shm";
    const off_t size = 100 << 20;
    ASSERT_EQ(ftruncate(file.get(), size), 0);
    std::atomic<bool> whole{false};
    std::thread reader([&] {
        whole = client.response()->size() == static_cast<size_t>(size);
        server->wake();
    });
    server->write_file(*exchange, file.release(), 0, static_cast<uint64_t>(size));
    server->finish(*exchange);
    EXPECT_TRUE(loop.run_until([&whole] { return whole.load(); }, 15'000, 15'000));
    reader.join();
}

// Clients that leave between their head and its hand-over: the exchange must not be handed out
// and be in the pool at the same time.
TEST(EngineTurn, AStreamedRequestWhoseClientLeftIsNotHandedOut) {
    Options options = nested(true);
    options.slots = 1;
    Server server(std::move(options));
    Loop loop(server.engine());
    Client first = server.client();
    first.get("/first");
    session::Exchange* running = loop.next();
    ASSERT_NE(running, nullptr);
    for (int round = 0; round < 3; ++round) {
        std::vector<Client> left;
        for (int i = 0; i < 5; ++i) {
            left.push_back(server.client());
            left.back().send("POST /left HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab");
            if (i % 2 == 0) left.back().close();
        }
        respond(server.engine(), *running, "x");
        ASSERT_EQ(first.response(), "x");
        left.clear();
        first.get("/again");
        running = nullptr;
        int handed_out = 0;
        while (running == nullptr) {
            session::Exchange* exchange = loop.next();
            ASSERT_NE(exchange, nullptr);
            if (target_of(*exchange) == "/again") {
                running = exchange;
                break;
            }
            ASSERT_EQ(target_of(*exchange), "/left");
            ASSERT_LE(++handed_out, 2);
            set_head(*exchange);
            server->write(*exchange, {"x", nullptr}, 1, true);
            server->finish(*exchange);
        }
    }
    respond(server.engine(), *running, "end");
    EXPECT_EQ(first.response(), "end");
    first.close();
    EXPECT_TRUE(loop.run_until([&server] { return server->connections() == 0; }));
}

TEST(EngineTurn, AStreamedRequestThatIsRefusedInTheQueueIsNotHandedOut) {
    Options options = nested(true);
    options.slots = 1;
    options.limits.body_ms_max = 150;
    Server server(std::move(options));
    Loop loop(server.engine());
    Client first = server.client();
    first.get("/first");
    Client late = server.client();
    late.send("POST /late HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nab");
    session::Exchange* running = loop.next();
    ASSERT_NE(running, nullptr);
    const bool first_runs = target_of(*running) == "/first";
    if (!first_runs) GTEST_SKIP() << "accepted in the other order";
    EXPECT_TRUE(loop.run_until([&server] { return server->totals().refused == 1; }, 5'000, 20));
    respond(server.engine(), *running, "x");
    EXPECT_TRUE(late.wait_for("HTTP/1.1 408 "));
    late.close();
    EXPECT_TRUE(loop.run_until([&server] { return server->connections() == 1; }));
    EXPECT_TRUE(loop.ready.empty());
    EXPECT_EQ(first.response(), "x");
}

TEST(EngineTurn, AnUnreadBodyEndsTheConnectionAndNotTheAnswer) {
    Server server(nested(true));
    Loop loop(server.engine());
    Client client = server.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nab");
    session::Exchange* exchange = loop.next();
    ASSERT_NE(exchange, nullptr);
    respond(server.engine(), *exchange, "no thanks");
    ASSERT_TRUE(client.send(std::string(50'000, 'x')));
    loop.run_until([&client] { return client.wait_for("no thanks", 0); });
    EXPECT_NE(client.unread().find("Connection: close"), std::string::npos);
    client.close();
    EXPECT_TRUE(loop.run_until([&server] { return server->connections() == 0; }));
}

TEST(EngineTurn, ContinueIsSaidWhenTheApplicationAsks) {
    Server server(nested(true));
    Loop loop(server.engine());
    Client client = server.client();
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
    session::Exchange* exchange = loop.next();
    ASSERT_NE(exchange, nullptr);
    EXPECT_FALSE(client.receive(50));
    base::Buffer taken;
    server->take_body(*exchange, taken);
    ASSERT_TRUE(client.wait_for("HTTP/1.1 100 Continue\r\n\r\n"));
    client.send("ab");
    EXPECT_EQ(loop.body(*exchange), "ab");
    respond(server.engine(), *exchange, "ok");
    EXPECT_TRUE(client.wait_for("ok"));
}

TEST(EngineTurn, AListenerWithoutASlotDoesNotKeepTheDescriptorReadable) {
    Options options = nested(false);
    options.slots = 1;
    Server server(std::move(options));
    Loop loop(server.engine());
    Client first = server.client();
    first.get("/first");
    session::Exchange* running = loop.next();
    ASSERT_NE(running, nullptr);
    Client second = server.client();
    second.get("/second");
    base::pace(20, "its bytes arrive; no look may be needed for them");
    Turn turn;
    for (int i = 0; i < 3; ++i) server->turn(turn);
    pollfd waited{server->fileno(), POLLIN, 0};
    EXPECT_EQ(poll(&waited, 1, 50), 0) << "the loop spins";
    respond(server.engine(), *running, "x");
    session::Exchange* exchange = loop.next();
    ASSERT_NE(exchange, nullptr);
    respond(server.engine(), *exchange, "y");
    EXPECT_EQ(second.response(), "y");
}

}  // namespace
}  // namespace mono::engine
