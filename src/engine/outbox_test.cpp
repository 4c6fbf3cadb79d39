// Answers that wait for each other: every one arrives, whole, once and in order, whatever the
// application and the client do next.
#include "engine/outbox.hpp"

#include <fcntl.h>

#include "engine/support_test.hpp"
#include "session/support_test.hpp"

namespace mono::engine {
namespace {

// Clients that have asked while nobody took requests: all wait in the queue at the same time.
std::vector<Client> crowd(Server& server, size_t count) {
    std::vector<Client> clients;
    for (size_t i = 0; i < count; ++i) {
        clients.push_back(server.client());
        clients.back().get("/" + std::to_string(i));
    }
    EXPECT_TRUE(eventually([&] {
        pollfd waiting{server.listener(), POLLIN, 0};
        return poll(&waiting, 1, 0) == 1;
    }));
    return clients;
}

// Takes until two more are known to wait behind it. Accepting is bounded: the first ones are
// answered on the way.
session::Exchange* take_before_others(Server& server, size_t others) {
    while (session::Exchange* exchange = server.take()) {
        const auto waiting = server->totals().accepted - server->totals().answered - 1;
        if (waiting >= others) return exchange;
        respond(server.engine(), *exchange, target_of(*exchange));
    }
    return nullptr;
}

// A request that runs while two more wait behind it.
struct Crowd {
    explicit Crowd(Options options = {}) : server(std::move(options)) {
        if (first != nullptr) own = target_of(*first);
    }
    Client& client() { return clients[std::stoul(own.substr(1))]; }  // who sent `first`
    WriteStatus write_own() {
        set_head(*first);
        return server->write(*first, {own, nullptr}, static_cast<int64_t>(own.size()), true);
    }

    Server server;
    std::vector<Client> clients = crowd(server, 3);
    session::Exchange* first = take_before_others(server, 2);  // nullptr: it did not come
    std::string own;
};

void serve_rest(Server& server) {
    while (session::Exchange* exchange = server.turn(20))
        respond(server.engine(), *exchange, target_of(*exchange));
}

void expect_own_targets(std::vector<Client>& clients) {
    for (size_t i = 0; i < clients.size(); ++i)
        EXPECT_EQ(clients[i].response(), "/" + std::to_string(i));
}

TEST(Outbox, EveryAnswerArrives) {
    for (const size_t count : {2, 3, 50, 300}) {
        Server server;
        std::vector<Client> clients = crowd(server, count);
        serve_rest(server);
        expect_own_targets(clients);
        EXPECT_EQ(server->totals().answered, count);
    }
}

// Three connections, so that two requests always wait behind the one that runs.
TEST(Outbox, AnAnswerDoesNotWaitForASlowNeighbour) {
    Crowd crowd;
    ASSERT_NE(crowd.first, nullptr);
    Server& server = crowd.server;
    session::Exchange* first = crowd.first;
    const std::string& own = crowd.own;
    respond(server.engine(), *first, own);
    session::Exchange* slow = server.take();
    ASSERT_NE(slow, nullptr);
    Client& client = crowd.client();
    EXPECT_EQ(client.response(), own);  // this thread is the application: it does nothing else
    respond(server.engine(), *slow, target_of(*slow));
    serve_rest(server);
}

// PEP 3333: close() comes after the last byte, however long it takes.
TEST(Outbox, AnAnswerDoesNotWaitForItsApplicationToCleanUp) {
    Crowd crowd;
    ASSERT_NE(crowd.first, nullptr);
    Server& server = crowd.server;
    session::Exchange* first = crowd.first;
    const std::string& own = crowd.own;
    EXPECT_EQ(crowd.write_own(), WriteStatus::kDone);
    EXPECT_EQ(crowd.client().response(), own);
    server->finish(*first);
    serve_rest(server);
    crowd.client().get("/again");
    session::Exchange* again = server.take();
    ASSERT_NE(again, nullptr);
    EXPECT_EQ(target_of(*again), "/again");
    respond(server.engine(), *again, "");
}

// Who holds the GIL may answer only where that makes no system call.
TEST(Outbox, TriesNothingWhenNobodyWaits) {
    Server server;
    Client client = server.client();
    client.get("/");
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    set_head(*exchange);
    EXPECT_EQ(server->try_write(*exchange, {"ok", nullptr}, 2, true), std::nullopt);
    EXPECT_FALSE(exchange->response.begun());
    EXPECT_FALSE(server->try_finish(*exchange));
    EXPECT_EQ(server->write(*exchange, {"ok", nullptr}, 2, true), WriteStatus::kDone);
    EXPECT_FALSE(server->try_finish(*exchange));
    server->finish(*exchange);
    EXPECT_EQ(client.response(), "ok");
}

// True if the first answer of a crowd could be tried; it arrives in any case.
bool tried(size_t size) {
    Crowd crowd;
    EXPECT_NE(crowd.first, nullptr);
    if (crowd.first == nullptr) return true;
    Server& server = crowd.server;
    session::Exchange* first = crowd.first;
    Client& client = crowd.client();
    set_head(*first);
    const std::string body(size, 'x');
    const auto length = static_cast<int64_t>(size);
    const std::optional<WriteStatus> status =
        server->try_write(*first, {body, nullptr}, length, true);
    if (!status) server->write(*first, {body, nullptr}, length, true);
    if (!server->try_finish(*first)) server->finish(*first);
    EXPECT_EQ(client.response(), body);
    serve_rest(server);
    return status.has_value();
}

// Not always at once: the standby may hold the lock, or take the seat on a slow machine.
TEST(Outbox, TriesWhatIsSmallWhenOthersWait) {
    for (const size_t size : {0, 1, 4'096})
        EXPECT_TRUE(eventually([size] { return tried(size); })) << size;
    for (int round = 0; round < 5; ++round) EXPECT_FALSE(tried(4'097));
}

TEST(Outbox, AnAnswerOutlivesItsEngine) {
    Crowd crowd;
    ASSERT_NE(crowd.first, nullptr);
    Server& server = crowd.server;
    session::Exchange* first = crowd.first;
    const std::string& own = crowd.own;
    respond(server.engine(), *first, own);
    server.destroy();
    EXPECT_EQ(crowd.client().response(), own);
}

// Twice sent would be taken for the answer to the next request.
TEST(Outbox, AnAnswerOutlivesACrashOnce) {
    for (int round = 0; round < 20; ++round) {
        Siblings siblings;
        Crowd crowd(siblings.options(0));
        ASSERT_NE(crowd.first, nullptr);
        Server& server = crowd.server;
        session::Exchange* first = crowd.first;
        const std::string& own = crowd.own;
        Client& client = crowd.client();
        respond(server.engine(), *first, own);
        server->pay_insurance(false);
        server.destroy();
        EXPECT_EQ(client.response(), own);
        EXPECT_EQ(client.status(), 200);
        EXPECT_NE(client.end(), Client::End::kOpen);
        EXPECT_EQ(client.unread(), "");
        EXPECT_LE(siblings.board().slot(0).ledger.answered, 3u);
    }
}

TEST(Outbox, AnAnswerThatTurnsOutBrokenIsNotKeptAlive) {
    Crowd crowd;
    ASSERT_NE(crowd.first, nullptr);
    Server& server = crowd.server;
    session::Exchange* first = crowd.first;
    const std::string& own = crowd.own;
    EXPECT_EQ(crowd.write_own(), WriteStatus::kDone);
    server->abandon(*first);  // close() raised
    Client& client = crowd.client();
    EXPECT_EQ(client.response(), own);
    EXPECT_NE(client.end(), Client::End::kOpen);
    serve_rest(server);
}

// A pipelined request needs no look at the kernel: other threads put answers in while one looks,
// and the kernel tells it of clients that have left.
TEST(Outbox, AClientThatLeavesTakesNobodyElsesAnswerAlong) {
    Options options;
    options.slots = 4;
    Server server(std::move(options));
    std::optional<Application> threads[4];
    for (std::optional<Application>& thread : threads) thread.emplace(server.engine());
    std::string pipelined;
    for (int i = 0; i < 40; ++i) pipelined += "GET /left HTTP/1.1\r\nHost: a\r\n\r\n";
    std::thread leaving([&] {
        for (int round = 0; round < 200; ++round) {
            std::vector<Client> clients;
            for (int i = 0; i < 6; ++i) clients.push_back(server.client());
            for (Client& client : clients) EXPECT_TRUE(client.send(pipelined));
            for (Client& client : clients) {
                client.receive(1);
                client.reset();
            }
        }
    });
    std::vector<Client> staying;
    for (int i = 0; i < 4; ++i) staying.push_back(server.client());
    for (int round = 0; round < 300; ++round) {
        for (size_t i = 0; i < staying.size(); ++i) staying[i].get("/" + std::to_string(i));
        expect_own_targets(staying);
    }
    leaving.join();
}

TEST(Outbox, ADroppedAnswerIsNobodys) {
    session::Limits limits;
    session::CountingPool exchanges;
    session::MemorySpills spills;
    http::RequestIdMaker ids(1);
    int64_t now_us = 0;
    const session::ConnectionContext context{limits, exchanges, spills, ids, now_us, false};
    Link gone(context, os::Fd(open("/dev/null", O_RDWR)), {}, 0);
    Link stays(context, os::Fd(open("/dev/null", O_RDWR)), {}, 0);
    Outbox outbox;
    for (Link* link : {&gone, &stays}) {
        const std::string answer = link == &gone ? "gone" : "stays";
        answer.copy(outbox.reserve(answer.size()), answer.size());
        outbox.put(*link, answer.size());
        EXPECT_TRUE(link->boxed);
    }
    outbox.drop(gone);
    EXPECT_EQ(outbox.take(0), "");
    EXPECT_EQ(outbox.take(1), "stays");
    EXPECT_EQ(outbox.take(1), "");
    EXPECT_FALSE(stays.boxed);
    outbox.clear();
    EXPECT_TRUE(outbox.empty());
}

TEST(Outbox, IsFullAtItsBounds) {
    Outbox outbox;
    EXPECT_NE(outbox.reserve(Outbox::kBytesMax), nullptr);
    EXPECT_EQ(outbox.reserve(Outbox::kBytesMax + 1), nullptr);
}

// Answers that the kernel takes in part go on where they were cut, in order.
TEST(Outbox, AReaderThatDoesNotReadGetsAllOfItLater) {
    constexpr int kRequests = 200;
    Server server({}, 8 * 1024);
    std::vector<Client> clients;
    for (int i = 0; i < 4; ++i) clients.push_back(server.client(4 * 1024));
    std::string stream;
    for (int i = 0; i < kRequests; ++i) stream += "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for (Client& client : clients) ASSERT_TRUE(client.send(stream));
    std::atomic<bool> stop{false};
    std::thread application([&] {
        int number = 0;
        while (!stop.load()) {
            session::Exchange* exchange = server.turn(20);
            if (exchange == nullptr) continue;
            std::string body(3'000, static_cast<char>('a' + number++ % 26));
            body += std::to_string(exchange->peer.port);
            respond(server.engine(), *exchange, body);
        }
    });
    for (Client& client : clients) {
        std::optional<std::string> body = client.response();
        ASSERT_TRUE(body.has_value());
        const std::string port = body->substr(3'000);
        for (int i = 1; i < kRequests; ++i) {
            body = client.response();
            ASSERT_TRUE(body.has_value());
            ASSERT_EQ(body->substr(3'000), port);
            ASSERT_EQ(body->substr(0, 3'000), std::string(3'000, body->front()));
        }
        EXPECT_EQ(client.unread(), "");
    }
    stop.store(true);
    server->wake();
    application.join();
}

}  // namespace
}  // namespace mono::engine
