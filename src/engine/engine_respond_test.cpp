// Bytes out: pieces, files, slow and stopped readers, clients that leave, broken answers.
#include <fcntl.h>
#include <sys/mman.h>

#include "engine/support_test.hpp"

namespace mono::engine {
namespace {

session::Exchange* request(Server& server, Client& client, const std::string& fields = "") {
    client.get("/", fields);
    session::Exchange* exchange = server.take();
    EXPECT_NE(exchange, nullptr);
    if (exchange != nullptr) set_head(*exchange);
    return exchange;
}

os::Fd file_of(const std::string& content) {
    os::Fd file(memfd_create("content", MFD_CLOEXEC));
    EXPECT_EQ(::write(file.get(), content.data(), content.size()),
              static_cast<ssize_t>(content.size()));
    return file;
}

TEST(EngineRespond, PiecesBecomeChunks) {
    Server server;
    Client client = server.client();
    session::Exchange* exchange = request(server, client);
    for (std::string_view piece : {"one ", "two ", "three"})
        EXPECT_EQ(server->write(*exchange, {piece, nullptr}, -1, false), WriteStatus::kDone);
    EXPECT_EQ(server->write(*exchange, {}, -1, true), WriteStatus::kDone);
    server->finish(*exchange);
    EXPECT_EQ(client.response(), "one two three");
    exchange = request(server, client);  // and the connection goes on
    respond(server.engine(), *exchange, "again");
    EXPECT_EQ(client.response(), "again");
}

TEST(EngineRespond, ForAnOldClientTheEndIsTheEnd) {
    Server server;
    Client client = server.client();
    ASSERT_TRUE(client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    set_head(*exchange);
    server->write(*exchange, {"all of it", nullptr}, -1, false);
    server->write(*exchange, {}, -1, true);
    server->finish(*exchange);
    EXPECT_TRUE(client.read_all().ends_with("\r\n\r\nall of it"));
    EXPECT_EQ(client.end(), Client::End::kFin);
}

TEST(EngineRespond, HeadHasNoBody) {
    Server server;
    Client client = server.client();
    ASSERT_TRUE(client.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\n\r\n"));
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    respond(server.engine(), *exchange, "five!");
    exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    respond(server.engine(), *exchange, "next");
    ASSERT_TRUE(client.wait_for("next"));
    EXPECT_EQ(client.unread().find("five!"), std::string::npos);
    EXPECT_NE(client.unread().find("Content-Length: 5\r\n"), std::string::npos);
}

// A reader that stops costs neither memory nor the application: what it has not read is in a file.
TEST(EngineRespond, AStoppedReaderDoesNotStopTheApplication) {
    for (size_t piece_bytes : {size_t{1000}, size_t{4096}, size_t{200'000}}) {
        Server server({}, 32 * 1024);
        Client client = server.client(32 * 1024);
        session::Exchange* exchange = request(server, client);
        const size_t count = (6 << 20) / piece_bytes;
        std::string expected;
        for (size_t at = 0; at < count; ++at) {
            const std::string piece(piece_bytes, static_cast<char>('a' + at % 26));
            expected += piece;
            ASSERT_EQ(server->write(*exchange, {piece, nullptr}, -1, false), WriteStatus::kDone);
        }
        EXPECT_EQ(open_spills(), 1u) << piece_bytes;
        server->write(*exchange, {}, -1, true);
        server->finish(*exchange);  // comes back at once
        Application others(server.engine());
        auto body = client.response();
        ASSERT_TRUE(body.has_value());
        EXPECT_TRUE(*body == expected) << piece_bytes;
        EXPECT_TRUE(eventually([] { return open_spills() == 0; })) << "an idle connection's file";
        client.get("/after");
        EXPECT_EQ(client.response(), "/after");
    }
}

// Disks are for readers that are slow.
TEST(EngineRespond, LargePiecesToAReaderDoNotTouchTheDisk) {
    Server server;
    Client client = server.client();
    session::Exchange* exchange = request(server, client);
    std::string body;
    std::thread reader([&client, &body] { body = client.response().value_or(""); });
    const std::string piece(600'000, 'x');
    for (int i = 0; i < 8; ++i) {
        void* owner = &server;
        const WriteStatus status = server->write(*exchange, {piece, owner}, -1, false);
        EXPECT_NE(status, WriteStatus::kGone);
        EXPECT_EQ(i == 0 ? open_spills() : 0, 0u);
    }
    server->write(*exchange, {}, -1, true);
    server->finish(*exchange);
    Application others(server.engine());
    reader.join();
    EXPECT_EQ(body.size(), 8 * piece.size());
}

TEST(EngineRespond, EveryKeptOwnerComesBackOnce) {
    Server server({}, 16 * 1024);
    Client client = server.client(16 * 1024);
    session::Exchange* exchange = request(server, client);
    std::vector<std::string> pieces(40, std::string(5'000, 'x'));
    std::vector<void*> kept;
    for (std::string& piece : pieces)
        if (server->write(*exchange, {piece, &piece}, -1, false) == WriteStatus::kKept)
            kept.push_back(&piece);
    EXPECT_FALSE(kept.empty());
    server->write(*exchange, {}, -1, true);
    server->finish(*exchange);
    std::thread reader([&client] { EXPECT_EQ(client.response()->size(), 200'000u); });
    EXPECT_TRUE(server.turn_until([&] { return server.released.size() >= kept.size(); }));
    reader.join();
    EXPECT_EQ(server.released, kept);
}

TEST(EngineRespond, OwnersComeBackWhenTheClientLeaves) {
    Server server({}, 16 * 1024);
    Client client = server.client(16 * 1024);
    session::Exchange* exchange = request(server, client);
    std::string piece(5'000, 'x');
    size_t kept = 0;
    while (kept < 20)
        kept += server->write(*exchange, {piece, &piece}, -1, false) == WriteStatus::kKept;
    client.reset();
    ASSERT_TRUE(eventually([&] {
        const WriteStatus status = server->write(*exchange, {piece, &piece}, -1, false);
        kept += status == WriteStatus::kKept;
        return status == WriteStatus::kGone;
    }));
    server->finish(*exchange);
    EXPECT_TRUE(server.turn_until([&] { return server.released.size() == kept; }));
    EXPECT_EQ(server->totals().aborted, 1u);
    EXPECT_EQ(server->totals().answered, 0u);
    EXPECT_EQ(server->connections(), 0u);
}

// The first write finds the kernel full, and no other follows for a while.
TEST(EngineRespond, WhatIsLeftOfOneWriteLeavesByItself) {
    Options options;
    options.slots = 2;
    Server server(std::move(options), 16 * 1024);
    Client client = server.client(16 * 1024);
    session::Exchange* exchange = request(server, client);
    std::string piece(300'000, 'x');
    server->write(*exchange, {piece, nullptr}, -1, false);
    Application pilot(server.engine());
    ASSERT_TRUE(client.wait_for(std::string(1'000, 'x')));
    size_t got = 0;
    while (got < piece.size()) {
        ASSERT_TRUE(client.receive(5'000)) << "stuck after " << got;
        got = client.unread().size();
    }
    server->write(*exchange, {}, -1, true);
    server->finish(*exchange);
    EXPECT_EQ(client.response()->size(), piece.size());
}

// Two threads: one finishes a long answer, the other waits in the poller all the while.
TEST(EngineRespond, ALongTurnGoesOnWhoeverWaits) {
    Options options;
    options.slots = 2;
    Server server(std::move(options));
    os::Fd file(memfd_create("content", MFD_CLOEXEC));
    const uint64_t size = 200ull << 20;
    ASSERT_EQ(ftruncate(file.get(), static_cast<off_t>(size)), 0);
    Client client = server.client();
    client.get("/warm");  // so that it is in the poller before
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    respond(server.engine(), *exchange, "x");
    ASSERT_EQ(client.response(), "x");
    exchange = request(server, client);
    std::atomic<bool> stop{false};
    std::thread pilot([&] {
        while (!stop) {
            // Long waits: nothing but the engine itself may end them.
            EXPECT_EQ(server->take(10'000, server->wakes()), nullptr);
        }
    });
    base::pace(20, "the pilot gets into its wait, which nobody sees from outside");
    const int64_t begin_ms = base::monotonic_ms();
    uint64_t got = 0;
    std::thread reader([&] {
        std::vector<char> sink(1 << 20);
        while (got < size) {
            pollfd waited{client.fd(), POLLIN, 0};
            if (poll(&waited, 1, 8'000) != 1) break;
            const ssize_t count = recv(client.fd(), sink.data(), sink.size(), 0);
            if (count <= 0) break;
            got += static_cast<uint64_t>(count);
        }
    });
    server->write_file(*exchange, file.release(), 0, size);
    server->finish(*exchange);
    reader.join();
    EXPECT_GE(got, size);
    EXPECT_LT(base::monotonic_ms() - begin_ms, 8'000) << "it waited for a thread";
    stop = true;
    server->wake();
    pilot.join();
}

TEST(EngineRespond, FilesAndRangesOfThem) {
    Server server;
    const size_t before = open_fds();
    Client client = server.client();
    const std::string content = "0123456789";
    session::Exchange* exchange = request(server, client);
    EXPECT_EQ(server->write_file(*exchange, file_of(content).release(), 0, 10), WriteStatus::kDone);
    server->finish(*exchange);
    EXPECT_EQ(client.response(), content);
    exchange = request(server, client);
    EXPECT_EQ(server->write_file(*exchange, file_of(content).release(), 3, 4), WriteStatus::kDone);
    server->finish(*exchange);
    EXPECT_EQ(client.response(), "3456");
    exchange = request(server, client);  // nothing of it
    EXPECT_EQ(server->write_file(*exchange, file_of(content).release(), 3, 0), WriteStatus::kDone);
    server->finish(*exchange);
    EXPECT_EQ(client.response(), "");
    exchange = request(server, client);  // behind pieces: in a chunk
    server->write(*exchange, {"ab", nullptr}, -1, false);
    EXPECT_EQ(server->write_file(*exchange, file_of(content).release(), 0, 10), WriteStatus::kDone);
    server->finish(*exchange);
    EXPECT_EQ(client.response(), "ab" + content);
    client.close();
    EXPECT_TRUE(server.turn_until([&server] { return server->connections() == 0; }));
    EXPECT_TRUE(eventually([before] { return open_fds() == before; })) << "a file stayed open";
}

TEST(EngineRespond, AFileThatBecameShorterEndsTheConnection) {
    Server server;
    const size_t before = open_fds();
    Client client = server.client();
    session::Exchange* exchange = request(server, client);
    server->write_file(*exchange, file_of("short").release(), 0, 5'000);
    server->finish(*exchange);
    const std::string all = client.read_all();
    EXPECT_NE(all.find("Content-Length: 5000"), std::string::npos);
    EXPECT_TRUE(all.ends_with("short"));
    EXPECT_NE(client.end(), Client::End::kOpen);
    client.close();
    EXPECT_TRUE(server.turn_until([&server] { return server->connections() == 0; }));
    EXPECT_EQ(open_fds(), before);
}

TEST(EngineRespond, AFileForNobodyIsClosed) {
    Server server;
    const size_t before = open_fds();
    Client client = server.client();
    session::Exchange* exchange = request(server, client);
    client.reset();
    ASSERT_TRUE(eventually([&] {
        return server->write(*exchange, {"x", nullptr}, -1, false) == WriteStatus::kGone;
    }));
    EXPECT_EQ(server->write_file(*exchange, file_of("content").release(), 0, 7),
              WriteStatus::kGone);
    server->finish(*exchange);
    EXPECT_EQ(open_fds(), before);
}

TEST(EngineRespond, AClientThatLeavesWhileTheApplicationRuns) {
    for (bool reset : {false, true}) {
        Server server;
        Client client = server.client();
        session::Exchange* exchange = request(server, client);
        if (reset) {
            client.reset();
        } else {
            client.close();
        }
        const std::string piece(5'000, 'x');
        EXPECT_TRUE(eventually([&] {
            return server->write(*exchange, {piece, nullptr}, -1, false) == WriteStatus::kGone;
        }));
        EXPECT_EQ(exchange->link, nullptr);
        EXPECT_EQ(target_of(*exchange), "/");  // still whole
        server->finish(*exchange);
        EXPECT_EQ(server->totals().aborted, 1u);
        EXPECT_EQ(server->totals().answered, 0u);
        EXPECT_EQ(server->connections(), 0u);
    }
}

TEST(EngineRespond, AnAnswerShorterThanPromisedIsNotTakenForWhole) {
    Server server;
    Client client = server.client();
    session::Exchange* exchange = request(server, client);
    ASSERT_EQ(exchange->response.head.add("Content-Length", "10"), http::HeadFault::kNone);
    server->write(*exchange, {"short", nullptr}, -1, true);
    server->finish(*exchange);
    EXPECT_TRUE(client.read_all().ends_with("short"));
    EXPECT_EQ(server->totals().aborted, 1u);
}

TEST(EngineRespond, AnUnendedChunkedAnswerEndsTheConnection) {
    Server server;
    Client client = server.client();
    session::Exchange* exchange = request(server, client);
    server->write(*exchange, {"part", nullptr}, -1, false);
    server->finish(*exchange);  // without the last piece: the client must not wait for it
    EXPECT_TRUE(client.read_all().ends_with("4\r\npart\r\n"));
    EXPECT_EQ(server->connections(), 0u);
}

TEST(EngineRespond, AnAbandonedAnswerWithoutLengthIsReset) {
    Server server;
    Client client = server.client();
    ASSERT_TRUE(client.send("GET / HTTP/1.0\r\n\r\n"));
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    set_head(*exchange);
    server->write(*exchange, {"half", nullptr}, -1, false);
    server->abandon(*exchange);
    EXPECT_EQ(client.end(), Client::End::kReset);
    EXPECT_EQ(server->totals().aborted, 1u);
}

// The send timeout strikes under the application: the reader must not take the rest for whole.
TEST(EngineRespond, ATimedOutAnswerWithoutLengthIsReset) {
    Options options;
    options.limits.send_ms_max = 150;
    Server server(std::move(options), 16 * 1024);
    Client client = server.client(16 * 1024);
    ASSERT_TRUE(client.send("GET / HTTP/1.0\r\n\r\n"));
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    set_head(*exchange);
    const std::string piece(3'000'000, 'x');
    server->write(*exchange, {piece, nullptr}, -1, false);
    EXPECT_TRUE(eventually([&server] { return server->connections() == 0; }));
    EXPECT_EQ(server->write(*exchange, {"x", nullptr}, -1, false), WriteStatus::kGone);
    server->finish(*exchange);
    EXPECT_EQ(client.end(), Client::End::kReset);
}

TEST(EngineRespond, AStoppedReaderIsNotWaitedForForEver) {
    Options options;
    options.limits.send_ms_max = 150;
    Server server(std::move(options), 16 * 1024);
    Client client = server.client(16 * 1024);
    session::Exchange* exchange = request(server, client);
    respond(server.engine(), *exchange, std::string(3'000'000, 'x'));
    EXPECT_TRUE(server.turn_until([&server] { return server->connections() == 0; }));
    EXPECT_EQ(server->totals().aborted, 1u);
}

TEST(EngineRespond, AnErrorPageEndsTheConnection) {
    Server server;
    Client client = server.client();
    session::Exchange* exchange = request(server, client);
    server->write_error(*exchange, 500, "broken <tag>");
    server->finish(*exchange);
    EXPECT_NE(client.response()->find("broken &lt;tag&gt;"), std::string::npos);
    EXPECT_EQ(client.status(), 500);
    EXPECT_EQ(client.end(), Client::End::kFin);
    Client head = server.client();
    ASSERT_TRUE(head.send("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"));
    exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    server->write_error(*exchange, 500, "");
    server->finish(*exchange);
    EXPECT_TRUE(head.read_all().ends_with("\r\n\r\n"));
}

TEST(EngineRespond, HintsGoAhead) {
    Server server;
    Client client = server.client();
    session::Exchange* exchange = request(server, client);
    EXPECT_EQ(server->write_interim(*exchange, "HTTP/1.1 103 Early Hints\r\n\r\n"),
              WriteStatus::kDone);
    ASSERT_TRUE(client.wait_for("103 Early Hints\r\n\r\n"));
    respond(server.engine(), *exchange, "body");
    ASSERT_TRUE(client.wait_for("body"));
    EXPECT_TRUE(client.unread().starts_with("HTTP/1.1 103 "));
    Client old = server.client();
    ASSERT_TRUE(old.send("GET / HTTP/1.0\r\n\r\n"));
    exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    server->write_interim(*exchange, "HTTP/1.1 103 Early Hints\r\n\r\n");
    respond(server.engine(), *exchange, "body");
    EXPECT_TRUE(old.read_all().starts_with("HTTP/1.0 200 "));
}

TEST(EngineRespond, NothingIsSaidOnAConnectionThatWasGivenAway) {
    Server server;
    const size_t before = open_fds();
    Client client = server.client();
    session::Exchange* exchange = request(server, client);
    os::Fd shared(server->share_socket(*exchange));
    server->give_away(*exchange);
    ASSERT_EQ(::send(shared.get(), "raw", 3, MSG_NOSIGNAL), 3);
    set_head(*exchange);
    EXPECT_EQ(server->write(*exchange, {"body", nullptr}, 4, true), WriteStatus::kDone);
    EXPECT_EQ(server->write_interim(*exchange, "HTTP/1.1 103 Early Hints\r\n\r\n"),
              WriteStatus::kDone);
    // What its client has said is not the engine's to read.
    ASSERT_TRUE(client.send("mine"));
    server->abandon(*exchange);
    EXPECT_EQ(server->connections(), 0u);
    char heard[8] = {};
    EXPECT_EQ(::recv(shared.get(), heard, sizeof heard, 0), 4);
    EXPECT_EQ(client.read_all(), "raw") << "its end is not told while somebody holds the socket";
    shared.reset();
    client.close();
    EXPECT_EQ(open_fds(), before);
    EXPECT_EQ(server->totals().answered, 1u);
    EXPECT_EQ(server->totals().aborted, 0u);
}

TEST(EngineRespond, ASharedSocketIsTheApplicationsOwn) {
    Server server;
    const size_t before = open_fds();
    Client client = server.client();
    session::Exchange* exchange = request(server, client);
    os::Fd shared(server->share_socket(*exchange));
    ASSERT_TRUE(shared);
    server->finish(*exchange);
    EXPECT_EQ(server->connections(), 0u);
    ASSERT_EQ(::send(shared.get(), "raw", 3, MSG_NOSIGNAL), 3);
    shared.reset();
    EXPECT_EQ(client.read_all(), "raw");
    client.close();
    EXPECT_EQ(open_fds(), before);
}

}  // namespace
}  // namespace mono::engine
