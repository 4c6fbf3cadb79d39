// Files of bodies: what opens one, how many there may be beside the connections, and how large.
#include "engine/spill_file.hpp"

#include <gtest/gtest.h>

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
    first->clear();
    EXPECT_TRUE(second->append("56789a"));
    first.reset();
    EXPECT_FALSE(files.has_room(1));
    second.reset();
    EXPECT_TRUE(files.has_room(10));
    EXPECT_FALSE(files.has_room(11));
    EXPECT_FALSE(files.has_room(UINT64_MAX));
    EXPECT_EQ(files.files(), 0u);
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
