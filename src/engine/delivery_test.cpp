// What counts as answered when the client leaves before the application is done, and what becomes
// of what an application gives behind the end of its answer.
#include <fcntl.h>

#include "engine/support_test.hpp"

namespace mono::engine {
namespace {

struct Given {
    const char* method = "GET";
    const char* status = "200 OK";
    const char* content_length = nullptr;
    std::string_view body = "hello";
    bool last = false;  // the application has given the end
    const char* version = "1.1";
};

session::Exchange* begun(Server& server, Client& client, const Given& given) {
    EXPECT_TRUE(client.send(std::string(given.method) + " / HTTP/" + given.version +
                            "\r\nHost: a\r\n\r\n"));
    session::Exchange* exchange = server.take();
    EXPECT_NE(exchange, nullptr);
    set_head(*exchange, given.status);
    if (given.content_length != nullptr) {
        EXPECT_EQ(exchange->response.head.add("Content-Length", given.content_length),
                  http::HeadFault::kNone);
    }
    server->write(*exchange, {given.body, nullptr}, -1, given.last);
    return exchange;
}

board::Totals left_before_the_end(const Given& given) {
    Server server;
    Client client = server.client();
    session::Exchange* exchange = begun(server, client, given);
    EXPECT_TRUE(client.wait_for("\r\n\r\n"));
    client.reset();
    EXPECT_TRUE(eventually([&] { return server->connections() == 0; }));
    server->write(*exchange, {}, -1, true);
    server->finish(*exchange);
    return server->totals();
}

TEST(Delivery, WhatTheKernelHadAllOfIsAnswered) {
    for (const Given& given : {
             Given{.content_length = "5"},
             Given{.content_length = "3"},  // the rest was dropped
             Given{.method = "HEAD", .content_length = "5", .body = ""},
             Given{.method = "HEAD", .body = ""},
             Given{.status = "204 No Content", .body = ""},
             Given{.status = "304 Not Modified", .body = ""},
             Given{.last = true},  // the last chunk has left; close() still runs
             Given{.last = true, .version = "1.0"},
         }) {
        const board::Totals totals = left_before_the_end(given);
        EXPECT_EQ(totals.answered, 1u) << given.method << given.status << given.body;
        EXPECT_EQ(totals.aborted, 0u);
    }
}

TEST(Delivery, WhatIsNotWholeIsAborted) {
    for (const Given& given : {
             Given{.content_length = "6"}, Given{},  // no last chunk
             Given{.version = "1.0"},                // the end is the end of the connection
         }) {
        const board::Totals totals = left_before_the_end(given);
        EXPECT_EQ(totals.answered, 0u) << given.version;
        EXPECT_EQ(totals.aborted, 1u);
    }
}

TEST(Delivery, WhatTheKernelDidNotTakeIsAborted) {
    Server server({}, 4096);
    Client client = server.client(4096);
    const std::string much(4'000'000, 'x');
    session::Exchange* exchange =
        begun(server, client, {.content_length = "4000000", .body = much, .last = true});
    client.reset();
    EXPECT_TRUE(eventually([&] { return server->connections() == 0; }));
    server->finish(*exchange);
    EXPECT_EQ(server->totals().aborted, 1u);
}

// An application that falls after its answer has taken nothing from the client.
TEST(Delivery, AWholeAnswerIsNotCutByALateFailure) {
    for (const Given& given : {Given{.content_length = "5"}, Given{.last = true}}) {
        Server server;
        Client client = server.client();
        server->abandon(*begun(server, client, given));
        EXPECT_EQ(client.response(), "hello");
        EXPECT_EQ(client.end(), Client::End::kFin);
        EXPECT_EQ(server->totals().answered, 1u);
    }
}

TEST(Delivery, NothingIsWrittenBehindTheEnd) {
    for (const Given& given : {Given{.last = true}, Given{.last = true, .version = "1.0"},
                               Given{.content_length = "5", .last = true}}) {
        Server server;
        Client client = server.client();
        session::Exchange* exchange = begun(server, client, given);
        EXPECT_EQ(server->write(*exchange, {"late", nullptr}, -1, false), WriteStatus::kDone);
        EXPECT_EQ(server->write(*exchange, {"later", nullptr}, -1, true), WriteStatus::kDone);
        os::Fd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
        server->write_file(*exchange, file.release(), 0, 10);
        EXPECT_TRUE(exchange->response.dropped());
        server->finish(*exchange);
        if (given.version == std::string_view("1.0")) {
            EXPECT_TRUE(client.read_all().ends_with("\r\n\r\nhello"));
            continue;
        }
        EXPECT_EQ(client.response(), "hello");
        EXPECT_EQ(client.unread(), "");
        server->finish(*begun(server, client, given));
        EXPECT_EQ(client.response(), "hello");
    }
}

TEST(Delivery, TheClientsPresence) {
    for (bool reset : {false, true}) {
        Server server;
        Client client = server.client();
        session::Exchange* exchange = begun(server, client, {});
        EXPECT_TRUE(client.wait_for("hello"));
        EXPECT_EQ(server->presence(*exchange), Presence::kHere);
        if (reset) {
            client.reset();
        } else {
            client.finish_sending();
        }
        const Presence wanted = reset ? Presence::kGone : Presence::kSentFin;
        EXPECT_TRUE(eventually([&] { return server->presence(*exchange) == wanted; }));
        server->write(*exchange, {}, -1, true);
        server->finish(*exchange);
    }
}

// An event loop's engine ends a connection at the client's FIN, whatever the application does.
TEST(Delivery, InAnEventLoopTheSame) {
    for (const char* length : {"5", "6"}) {
        Server server(nested(true));
        Loop loop(server.engine());
        Client client = server.client();
        client.get("/");
        session::Exchange* exchange = loop.next();
        ASSERT_NE(exchange, nullptr);
        set_head(*exchange);
        ASSERT_EQ(exchange->response.head.add("Content-Length", length), http::HeadFault::kNone);
        server->write(*exchange, {"hello", nullptr}, -1, false);
        EXPECT_TRUE(client.wait_for("hello"));
        client.close();
        EXPECT_TRUE(loop.run_until([&] { return server->connections() == 0; }));
        server->finish(*exchange);
        EXPECT_EQ(server->totals().answered, *length == '5' ? 1u : 0u);
    }
}

// Its connection was served without the poller; another thread pilots meanwhile.
TEST(Delivery, AClientThatLeavesIsNoticedBesideAPilot) {
    for (bool reset : {false, true}) {
        Options options;
        options.slots = 2;
        Server server(std::move(options));
        Client client = server.client();
        session::Exchange* exchange = begun(server, client, {});
        Application pilot(server.engine());
        EXPECT_TRUE(client.wait_for("hello"));
        if (reset) {
            client.reset();
        } else {
            client.close();
        }
        EXPECT_TRUE(eventually([&] { return server->presence(*exchange) != Presence::kHere; }));
        server->abandon(*exchange);
    }
}

}  // namespace
}  // namespace mono::engine
