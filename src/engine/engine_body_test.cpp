// Streamed bodies beside a runner with threads: who waits for them, how much waits, and what the
// reader is told when the rest will not come.
#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "engine/support_test.hpp"

namespace mono::engine {
namespace {

Options streaming(uint32_t slots = 1) {
    Options options;
    options.slots = slots;
    options.stream_bodies = true;
    return options;
}

std::string head_of(const std::string& fields) {
    return "POST / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
}
std::string with_length(size_t length) {
    return head_of("Content-Length: " + std::to_string(length) + "\r\n");
}

// What a thread that reads does.
struct Reader {
    Engine& engine;
    Handle handle;
    std::string got{};
    BodyState state = BodyState::kMore;
    http::Error fault = http::Error::kNone;

    void take() {
        base::Buffer taken;
        state = engine.take_arrived(handle, taken, fault);
        got += taken.view();
    }
    // Until nothing more comes, or `size` bytes are there.
    void read(size_t size = SIZE_MAX) {
        const int64_t end_ms = base::monotonic_ms() + kPatienceMs;
        while (state == BodyState::kMore && got.size() < size && base::monotonic_ms() < end_ms) {
            engine.wait_body(handle, 100);
            take();
        }
    }
};

TEST(EngineBody, StreamsToTheThreadThatReads) {
    Server server(streaming());
    Client client = server.client();
    const std::string body(3'000'000, 'b');
    ASSERT_TRUE(client.send(with_length(body.size())));
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    EXPECT_TRUE(exchange->streamed);
    std::thread sender([&] { client.send(body); });
    Reader reader{server.engine(), *exchange};
    reader.read();
    sender.join();
    EXPECT_EQ(reader.state, BodyState::kComplete);
    EXPECT_TRUE(reader.got == body);
    EXPECT_EQ(open_spills(), 0u);
    respond(server.engine(), *exchange, "ok");
    EXPECT_EQ(client.response(), "ok");
    EXPECT_NE(client.head.find("Connection: keep-alive"), std::string::npos);
}

TEST(EngineBody, WaitsInMemoryUpToItsBound) {
    Server server(streaming());
    Client client = server.client();
    ASSERT_TRUE(client.send(with_length(90'000'000)));
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    std::thread sender([&] { client.send(std::string(90'000'000, 'b')); });
    Reader reader{server.engine(), *exchange};
    for (int i = 0; i < 20; ++i) {
        server->wait_body(reader.handle, 100);
        EXPECT_LE(exchange->incoming.size(), session::kStreamHighBytes + session::kReceiveBytes);
    }
    reader.read();
    sender.join();
    EXPECT_EQ(reader.got.size(), 90'000'000u);
    respond(server.engine(), *exchange, "ok");
}

TEST(EngineBody, AsksToContinueWhenItIsRead) {
    Server server(streaming());
    Client client = server.client();
    ASSERT_TRUE(client.send(head_of("Content-Length: 4\r\nExpect: 100-continue\r\n")));
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    EXPECT_FALSE(client.receive(0));
    Reader reader{server.engine(), *exchange};
    EXPECT_FALSE(server->wait_body(reader.handle, 1));
    EXPECT_TRUE(client.wait_for("HTTP/1.1 100 Continue\r\n\r\n"));
    ASSERT_TRUE(client.send("body"));
    reader.read();
    EXPECT_EQ(reader.got, "body");
    respond(server.engine(), *exchange, "ok");
}

TEST(EngineBody, AnAnswerWithoutReadingSendsNo100AndEndsTheConnection) {
    Server server(streaming());
    Client client = server.client();
    ASSERT_TRUE(client.send(head_of("Content-Length: 400\r\nExpect: 100-continue\r\n")));
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    respond(server.engine(), *exchange, "no");
    EXPECT_EQ(client.response(), "no");
    EXPECT_NE(client.head.find("Connection: close"), std::string::npos);
    EXPECT_EQ(client.status(), 200);
    EXPECT_EQ(client.end(), Client::End::kFin);
}

TEST(EngineBody, AFileInAnswerToAnUnreadBodyEndsTheConnection) {
    Server server(streaming());
    Client client = server.client();
    ASSERT_TRUE(client.send(with_length(400)));
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    set_head(*exchange);
    const os::TempFile file = os::TempFile::open("");
    server->write_file(*exchange, os::duplicate(file.fd()).release(), 0, 0);
    server->finish(*exchange);
    EXPECT_EQ(client.response(), "");
    EXPECT_NE(client.head.find("Connection: close"), std::string::npos);
}

TEST(EngineBody, TellsHowABodyBrokeOff) {
    Options options = streaming();
    options.limits.body_bytes_max = 1'000;
    Server server(std::move(options));
    Client left = server.client();
    ASSERT_TRUE(left.send(with_length(100) + "abc"));
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    Reader reader{server.engine(), *exchange};
    left.close();
    reader.read();
    EXPECT_EQ(reader.state, BodyState::kGone);
    EXPECT_EQ(reader.got, "abc");
    server->finish(*exchange);
    EXPECT_EQ(server->totals().aborted, 1u);

    const std::string coded = head_of("Transfer-Encoding: chunked\r\n");
    for (const auto& [bytes, error] : {std::pair{"3\r\nabcX", http::Error::kChunkEndInvalid},
                                       std::pair{"fff\r\n", http::Error::kBodyTooLarge}}) {
        Client wrong = server.client();
        ASSERT_TRUE(wrong.send(coded));
        ASSERT_NE(exchange = server.take(), nullptr);
        Reader second{server.engine(), *exchange};
        ASSERT_TRUE(wrong.send(bytes));
        second.read();
        EXPECT_EQ(second.state, BodyState::kRefused);
        EXPECT_EQ(second.fault, error);
        wrong.response();
        EXPECT_EQ(wrong.status(), http::describe(error).status);
        server->finish(*exchange);
    }
    EXPECT_EQ(server->totals().refused, 2u);
}

TEST(EngineBody, ALeaseEndsWithItsRequest) {
    Server server(streaming());
    Client client = server.client();
    ASSERT_TRUE(client.send(with_length(400)));
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    Reader reader{server.engine(), *exchange};
    std::thread late([&] { reader.read(); });
    respond(server.engine(), *exchange, "ok");
    late.join();
    EXPECT_EQ(reader.state, BodyState::kOver);
    EXPECT_EQ(client.response(), "ok");
}

// The clock of the body runs while we wait for the client, and not while it waits for us.
TEST(EngineBody, OnlyASlowClientIsLate) {
    Options options = streaming();
    options.limits.body_ms_max = 300;
    Server server(std::move(options));
    Client quick = server.client();
    ASSERT_TRUE(quick.send(with_length(2'000'000)));
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    std::thread sender([&] { quick.send(std::string(2'000'000, 'b')); });
    Reader reader{server.engine(), *exchange};
    reader.read(1);  // and the kernel has more
    for (int i = 0; i < 12; ++i) {
        reader.take();
        base::pace(50, "an application that takes its time");
    }
    reader.read();
    sender.join();
    EXPECT_EQ(reader.state, BodyState::kComplete);
    respond(server.engine(), *exchange, "ok");

    Client slow = server.client();
    ASSERT_TRUE(slow.send(with_length(10) + "x"));
    ASSERT_NE(exchange = server.take(), nullptr);
    Reader second{server.engine(), *exchange};
    second.read();
    EXPECT_EQ(second.fault, http::Error::kBodyTimeout);
    server->finish(*exchange);
}

// All slots read: whoever waits drives the engine for all of them.
TEST(EngineBody, ReadersShareTheSeat) {
    Server server(streaming(4));
    std::vector<Client> clients;
    std::vector<std::unique_ptr<Reader>> readers;
    std::vector<session::Exchange*> exchanges;
    for (int i = 0; i < 3; ++i) {
        clients.push_back(server.client());
        ASSERT_TRUE(clients.back().send(with_length(200'000)));
        exchanges.push_back(server.take());
        ASSERT_NE(exchanges.back(), nullptr);
        readers.push_back(std::make_unique<Reader>(Reader{server.engine(), *exchanges.back()}));
    }
    std::vector<std::thread> threads;
    for (auto& reader : readers) threads.emplace_back([&reader] { reader->read(); });
    for (int piece = 0; piece < 20; ++piece)
        for (Client& client : clients) ASSERT_TRUE(client.send(std::string(10'000, 'p')));
    Client other = server.client();
    other.get("/other");
    session::Exchange* quick = server.take();
    ASSERT_NE(quick, nullptr);
    respond(server.engine(), *quick, "ok");
    EXPECT_EQ(other.response(), "ok");
    for (std::thread& thread : threads) thread.join();
    for (size_t i = 0; i < readers.size(); ++i) {
        EXPECT_EQ(readers[i]->got.size(), 200'000u);
        respond(server.engine(), *exchanges[i], "done");
        EXPECT_EQ(clients[i].response(), "done");
    }
}

TEST(EngineBody, IsNotHandedToASibling) {
    Siblings siblings;
    Options options = siblings.options(0);
    options.stream_bodies = true;
    Server busy(std::move(options));
    Server idle(siblings.options(1));
    Client second = kept_alive(busy);
    Client third = kept_alive(busy);
    Client first = busy.client();
    first.get("/first");
    session::Exchange* held = busy.take();
    ASSERT_NE(held, nullptr);
    ASSERT_TRUE(second.send(with_length(40'000)));
    third.get("/third");
    // A sibling that looks beside us takes what is whole.
    session::Exchange* moved = idle.take();
    ASSERT_NE(moved, nullptr);
    EXPECT_EQ(target_of(*moved), "/third");
    respond(idle.engine(), *moved, "third");
    respond(busy.engine(), *held, "first");
    session::Exchange* kept = busy.take();
    ASSERT_NE(kept, nullptr);
    EXPECT_EQ(target_of(*kept), "/");
    ASSERT_TRUE(second.send(std::string(40'000, 'x')));
    Reader reader{busy.engine(), *kept};
    reader.read();
    EXPECT_EQ(reader.got.size(), 40'000u);
    respond(busy.engine(), *kept, "second");
    EXPECT_EQ(second.response(), "second");
}

}  // namespace
}  // namespace mono::engine
