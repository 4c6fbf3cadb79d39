// Files of bodies: what opens one, how many there may be beside the connections, and how large.
#include "engine/spill_file.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>
#include <vector>

#include "engine/support_test.hpp"

namespace mono::engine {
namespace {

std::string post(size_t length) {
    return "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(length) + "\r\n\r\n";
}

Options small_memory(uint32_t connections_max) {
    Options options;
    options.limits.body_memory_bytes_max = 16;
    options.connections_max = connections_max;
    return options;
}

TEST(SpillFiles, AreBoundedInNumberAndBytes) {
    SpillFiles files("");
    files.limit({2, 10});
    auto first = files.make();
    auto second = files.make();
    ASSERT_TRUE(first && second);
    EXPECT_FALSE(files.has_room(1));
    EXPECT_EQ(files.make(), nullptr);
    EXPECT_TRUE(files.at_limit());
    EXPECT_TRUE(first->append("123456"));
    EXPECT_TRUE(second->append("1234"));
    EXPECT_FALSE(second->append("5"));
    EXPECT_TRUE(files.at_limit());
    first.reset();
    EXPECT_TRUE(second->append("56789a"));
    EXPECT_FALSE(files.has_room(1));
    second.reset();
    EXPECT_TRUE(files.has_room(10));
    EXPECT_FALSE(files.has_room(11));
    EXPECT_FALSE(files.has_room(UINT64_MAX));
    EXPECT_EQ(files.files(), 0u);
}

uint64_t file_bytes(int fd) {
    struct stat status {};
    EXPECT_EQ(fstat(fd, &status), 0);
    return static_cast<uint64_t>(status.st_size);
}

// Clients choose the size of what is appended; every part of it can be read at once.
TEST(SpillFiles, GatherSmallPieces) {
    SpillFiles files("");
    auto spill = files.open();
    ASSERT_TRUE(spill);
    const int fd = spill->fd();
    std::string expected;
    uint64_t grown = 0;
    uint64_t size = 0;
    for (size_t i = 0; i < 40'000; ++i) {
        const std::string piece(i % 10'000 == 9'999 ? 30'000 : 1, static_cast<char>('a' + i % 26));
        expected += piece;
        ASSERT_TRUE(spill->append(piece));
        if (size != file_bytes(fd)) ++grown;
        size = file_bytes(fd);
    }
    EXPECT_LE(grown, 12u);
    EXPECT_EQ(spill->size(), expected.size());
    std::string tail(9, 'x');
    for (std::string_view piece : {"1", "22", "333"}) {
        ASSERT_TRUE(spill->append(piece));
        expected += piece;
    }
    EXPECT_LT(file_bytes(fd), spill->size());
    std::string all(expected.size() + 10, 'x');
    EXPECT_EQ(spill->read(0, all), static_cast<int64_t>(expected.size()));
    EXPECT_EQ(all.substr(0, expected.size()), expected);
    EXPECT_EQ(spill->read(expected.size() - 9, tail), 9);
    EXPECT_EQ(tail, expected.substr(expected.size() - 9));
    EXPECT_EQ(spill->read(expected.size(), tail), 0);
    EXPECT_EQ(spill->fd(), fd);
    EXPECT_EQ(file_bytes(fd), expected.size());
    EXPECT_EQ(spill->read(expected.size() - 9, tail), 9);
    EXPECT_EQ(tail, expected.substr(expected.size() - 9));
}

TEST(SpillFiles, WhatCannotBeWrittenIsRefused) {
    SpillFiles files("");
    auto spill = files.open();
    ASSERT_TRUE(spill);
    const FullDisk full;
    int taken = 0;
    while (taken < 100 && spill->append(std::string(1000, 'x'))) ++taken;
    EXPECT_LT(taken, 20);
    EXPECT_FALSE(files.at_limit());
    EXPECT_EQ(spill->fd(), -1);
}

TEST(SpillFiles, AnAnnouncedBodyTakesOneDescriptor) {
    Server server(small_memory(100));
    const size_t before = open_fds();
    std::vector<Client> clients;
    for (int i = 0; i < 20; ++i) {
        clients.push_back(server.client());
        ASSERT_TRUE(clients.back().send(post(1'000'000)));
    }
    ASSERT_TRUE(server.turn_until([&server] { return server->connections() == 20; }));
    EXPECT_EQ(open_fds() - before, 40u);  // both ends of each connection
}

// Beyond a quarter of the descriptors the answer is 503, and everybody else is served.
TEST(SpillFiles, LeaveRoomForConnections) {
    Server server(small_memory(16));
    std::vector<Client> clients;
    for (int i = 0; i < 8; ++i) {
        clients.push_back(server.client());
        ASSERT_TRUE(clients.back().send(post(1'000) + std::string(17, 'x')));
    }
    ASSERT_TRUE(server.turn_until([&server] { return server->totals().refused == 4; }));
    EXPECT_EQ(open_spills(), 4u);
    int refused = 0;
    for (Client& client : clients) {
        if (!client.receive(0)) continue;
        client.response();
        EXPECT_EQ(client.status(), 503);
        ++refused;
    }
    EXPECT_EQ(refused, 4);
    Client other = server.client();
    other.get("/other");
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    respond(server.engine(), *exchange, "ok");
    EXPECT_EQ(other.response(), "ok");
    for (Client& client : clients) client.reset();
    ASSERT_TRUE(server.turn_until([] { return open_spills() == 0; }));
    Client again = server.client();
    ASSERT_TRUE(again.send(post(17) + std::string(17, 'x')));
    EXPECT_NE(exchange = server.take(), nullptr);
    respond(server.engine(), *exchange, "ok");
}

TEST(SpillFiles, TheBytesOfAllBodiesTogetherAreBounded) {
    Options options = small_memory(100);
    options.limits.spilled_bytes_max = 1'500;
    Server server(std::move(options));
    Client first = server.client();
    ASSERT_TRUE(first.send(post(1'000) + std::string(999, 'x')));
    ASSERT_TRUE(server.turn_until([] { return open_spills() == 1; }));
    Client second = server.client();
    ASSERT_TRUE(second.send(post(600)));
    ASSERT_TRUE(server.turn_until([&server] { return server->totals().refused == 1; }));
    second.response();
    EXPECT_EQ(second.status(), 503);
    ASSERT_TRUE(first.send("x"));
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    respond(server.engine(), *exchange, "ok");
    EXPECT_EQ(first.response(), "ok");
    Client third = server.client();
    ASSERT_TRUE(third.send(post(600) + std::string(600, 'x')));
    ASSERT_NE(exchange = server.take(), nullptr);
    respond(server.engine(), *exchange, "ok");
}

}  // namespace
}  // namespace mono::engine
