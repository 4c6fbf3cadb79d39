// Handles: what an application keeps of a request, and uses in other threads while it ends and
// afterwards, reaches that request or nobody.
#include <array>
#include <mutex>

#include "engine/pools.hpp"
#include "engine/support_test.hpp"

namespace mono::engine {
namespace {

using session::Exchange;

// Everything that can be called, and nothing happens.
void expect_over(Engine& engine, Handle late) {
    EXPECT_EQ(engine.write(late, {"stray", nullptr}, -1, false), WriteStatus::kOver);
    EXPECT_EQ(engine.write(late, {"stray", nullptr}, -1, true), WriteStatus::kOver);
    EXPECT_EQ(engine.write_file(late, os::Fd().release(), 0, 1), WriteStatus::kOver);
    EXPECT_EQ(engine.write_interim(late, "HTTP/1.1 103 Early Hints\r\n\r\n"), WriteStatus::kOver);
    EXPECT_EQ(engine.send_message(late, {"stray", nullptr}, true), WriteStatus::kOver);
    engine.write_error(late, 500, "stray");
    engine.write_page(late, 200, "stray");
    engine.close_socket(late, 1000, "stray");
    engine.finish(late);
    engine.abandon(late);
    EXPECT_FALSE(engine.try_finish(late));
    EXPECT_FALSE(engine.upgrade(late, "stray", std::nullopt));
    EXPECT_EQ(engine.share_socket(late), -1);
    engine.give_away(late);
    engine.note_status(late, "101 Switching Protocols");
    EXPECT_EQ(engine.presence(late), Presence::kGone);
    EXPECT_TRUE(engine.gone(late));
    EXPECT_TRUE(engine.is_answered(late));
    EXPECT_TRUE(engine.has_room(late, 0));
    EXPECT_EQ(engine.unsent(late), 0u);
    EXPECT_EQ(engine.user_of(late), nullptr);
    EXPECT_EQ(engine.request_id_of(late), "-");
    EXPECT_FALSE(engine.extend(late, 1'000));
    EXPECT_FALSE(engine.interrupt(late));
    char byte = 0;
    EXPECT_EQ(engine.read_body(late, 0, {&byte, 1}), Engine::kTooLate);
    EXPECT_EQ(engine.measure_line(late, 0, 1), Engine::kTooLate);
    base::Buffer taken;
    http::Error fault = http::Error::kNone;
    EXPECT_TRUE(engine.wait_body(late, 1'000));
    EXPECT_EQ(engine.take_arrived(late, taken, fault), BodyState::kOver);
    EXPECT_EQ(engine.take_body(late, taken), BodyState::kOver);
    session::SocketMessage message;
    websocket::WebSocketEnd end;
    EXPECT_FALSE(engine.take_message(late, message));
    EXPECT_TRUE(engine.socket_ended(late, end));
    std::string line;
    std::string fields;
    uint64_t body_bytes = 0;
    EXPECT_FALSE(engine.copy_answer(late, line, fields, body_bytes));
}

TEST(Handles, OfAFinishedRequestReachNobody) {
    Options options;
    options.slots = 2;
    options.limits.request_ms_max = 60'000;
    Server server(std::move(options));
    Client first = server.client();
    first.get("/first");
    Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    const Handle late = *exchange;
    respond(server.engine(), *exchange, "first");
    EXPECT_EQ(first.response(), "first");
    expect_over(server.engine(), late);

    // The same exchange, of another client.
    Client second = server.client();
    second.get("/second");
    Exchange* again = server.take();
    ASSERT_EQ(again, exchange);
    expect_over(server.engine(), late);
    set_head(*again);
    EXPECT_EQ(server->write(*again, {"sec", nullptr}, -1, false), WriteStatus::kDone);
    expect_over(server.engine(), late);
    EXPECT_EQ(server->write(*again, {"ond", nullptr}, -1, true), WriteStatus::kDone);
    server->finish(*again);
    EXPECT_EQ(second.response(), "second");
    EXPECT_EQ(server->totals().answered, 2u);
}

// More than are kept: the rest is freed, and its place is somebody else's one day.
TEST(Handles, OfFreedExchangesReachNobody) {
    constexpr size_t kCrowd = 400;
    Options options;
    options.slots = kCrowd;
    options.limits.request_ms_max = 60'000;
    Server server(std::move(options));
    std::vector<Handle> late;
    for (int round = 0; round < 2; ++round) {
        std::vector<Client> clients;
        std::vector<Exchange*> exchanges;
        for (size_t i = 0; i < kCrowd; ++i) {
            clients.push_back(server.client());
            clients.back().get("/");
            exchanges.push_back(server.take());
            ASSERT_NE(exchanges.back(), nullptr);
        }
        for (const Handle& handle : late) ASSERT_EQ(server->request_id_of(handle), "-");
        for (Exchange* exchange : exchanges) {
            late.push_back(*exchange);
            respond(server.engine(), *exchange, "own");
        }
        for (Client& client : clients) ASSERT_EQ(client.response(), "own");
    }
    for (const Handle& handle : late) ASSERT_EQ(server->request_id_of(handle), "-");
    expect_over(server.engine(), late.front());
}

// Threads that go on with the requests of others, big pieces and small, while these end.
TEST(Handles, LateWritersReachTheirOwnClientsOnly) {
    constexpr int kRequests = 1'500;
    Options options;
    options.slots = 2;
    Server server(std::move(options));
    std::mutex mutex;
    std::array<Handle, 4> kept{};
    std::atomic<bool> stop{false};
    std::atomic<int> over{0};
    std::vector<std::thread> threads;
    for (size_t mine = 0; mine < 3; ++mine) {
        threads.emplace_back([&, mine] {
            const std::string big(40'000, '!');
            for (size_t turn = mine; !stop; ++turn) {
                Handle late;
                {
                    std::lock_guard lock(mutex);
                    late = kept.at(turn % kept.size());
                }
                const std::string_view bytes = turn % 2 == 0 ? big : std::string_view("!");
                over += server->write(late, {bytes, nullptr}, -1, false) == WriteStatus::kOver;
                server->write_interim(late, "HTTP/1.1 103 Early Hints\r\nX-Stray: 1\r\n\r\n");
                server->presence(late);
                server->unsent(late);
            }
        });
    }
    std::thread application([&] {
        for (size_t turn = 0; !stop; ++turn) {
            Exchange* exchange = server.turn(20);
            if (exchange == nullptr) continue;
            const std::string target = target_of(*exchange);
            set_head(*exchange);
            if (target == "/late") {
                server->write(*exchange, {"own", nullptr}, -1, false);
                std::lock_guard lock(mutex);
                kept.at(turn % kept.size()) = *exchange;
            }
            server->write(*exchange, {target, nullptr}, -1, true);
            server->finish(*exchange);
        }
    });
    Client innocent = server.client();
    for (int i = 0; i < kRequests; ++i) {
        Client late = server.client(16 * 1024);
        late.get("/late", "Connection: close\r\n");
        const std::string target = "/innocent/" + std::to_string(i);
        innocent.get(target);
        ASSERT_EQ(innocent.response(), target);
        ASSERT_EQ(innocent.head.find("Stray"), std::string::npos);
        if (i % 2 == 0) late.read_all();
    }
    stop = true;
    application.join();
    for (std::thread& thread : threads) thread.join();
    EXPECT_GT(over, 0);
}

// Two threads wait for the same slow reader, and their request ends without them.
TEST(Handles, WritersThatWaitHearOfTheEnd) {
    FullDisk full;
    Server server({}, 16 * 1024);
    Client client = server.client(16 * 1024);
    client.get("/");
    Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    const Handle late = *exchange;
    set_head(*exchange);
    const std::string piece(400'000, 'x');
    std::atomic<int> ended{0};
    std::vector<std::thread> writers;
    for (int i = 0; i < 2; ++i) {
        writers.emplace_back([&] {
            while (server->write(late, {piece, nullptr}, -1, false) == WriteStatus::kDone) {
            }
            ++ended;
        });
    }
    ASSERT_TRUE(eventually([&] { return server->unsent(late) > session::kOutputWaitBytes; }));
    EXPECT_EQ(ended, 0);
    server->abandon(late);
    for (std::thread& writer : writers) writer.join();
    EXPECT_EQ(ended, 2);
}

TEST(Handles, EventsOfAFinishedRequestAreNobodys) {
    Server server(nested(true));
    Client client = server.client();
    client.get("/");
    Turn turn;
    ASSERT_TRUE(eventually([&] {
        server->turn(turn);
        return !turn.ready.empty();
    }));
    Exchange* exchange = turn.ready.front();
    int object = 0;
    exchange->user = &object;
    EXPECT_EQ(server->user_of(*exchange), &object);
    client.reset();
    Turn next;
    ASSERT_TRUE(eventually([&] {
        server->turn(next);
        return !next.events.empty();
    }));
    EXPECT_EQ(server->user_of(next.events.front().exchange), &object);
    server->abandon(*exchange);
    EXPECT_EQ(server->user_of(next.events.front().exchange), nullptr);
}

}  // namespace
}  // namespace mono::engine
