// Who waits in the kernel is served beside who keeps the queue full.
#include "engine/support_test.hpp"

namespace mono::engine {
namespace {

constexpr int kFlood = 2'000;

// A short application's time: too short for the standby to take the seat.
void work() {
    const int64_t end_us = base::monotonic_us() + 200;
    while (base::monotonic_us() < end_us) {
    }
}

void flood(Client& client) {
    std::string stream;
    for (int i = 0; i < kFlood; ++i) stream += "GET /flood HTTP/1.1\r\nHost: a\r\n\r\n";
    ASSERT_TRUE(client.send(stream));
}

// How many requests are answered until that one is; kFlood: never.
int answered_until(Server& server, const std::string& target) {
    for (int count = 0; count < kFlood; ++count) {
        session::Exchange* exchange = server.take();
        if (exchange == nullptr) return kFlood;
        const bool found = target_of(*exchange) == target;
        work();
        respond(server.engine(), *exchange, "");
        if (found) return count;
    }
    return kFlood;
}

TEST(Fairness, APipelineDoesNotKeepOtherConnectionsWaiting) {
    Server server;
    Client other = server.client();
    other.get("/first");
    EXPECT_LT(answered_until(server, "/first"), kFlood);
    Client flooding = server.client();
    flood(flooding);
    EXPECT_LT(answered_until(server, "/flood"), kFlood);
    other.get("/second");
    EXPECT_LT(answered_until(server, "/second"), 100);
}

TEST(Fairness, APipelineDoesNotKeepNewConnectionsWaiting) {
    for (const bool shared : {false, true}) {
        Options options;
        options.shared_listeners = shared;
        Server server(std::move(options));
        Client flooding = server.client();
        flood(flooding);
        EXPECT_LT(answered_until(server, "/flood"), kFlood);
        Client fresh = server.client();
        fresh.get("/fresh");
        EXPECT_LT(answered_until(server, "/fresh"), 100);
    }
}

// The next request is there before the application is done with the last one: such a connection
// is read without the poller. Enough of them must not keep the others out.
TEST(Fairness, RequestsThatComeDuringCleanUpDoNotKeepOthersWaiting) {
    Server server;
    std::vector<Client> quick;
    for (int i = 0; i < 4; ++i) quick.push_back(server.client());
    for (Client& client : quick) client.get("/quick");
    std::optional<Client> fresh;
    int since = 0;
    for (int count = 0; count < kFlood; ++count) {
        session::Exchange* exchange = server.take();
        ASSERT_NE(exchange, nullptr);
        const bool found = target_of(*exchange) == "/fresh";
        set_head(*exchange);
        [[maybe_unused]] const WriteStatus status =
            server->write(*exchange, {"", nullptr}, 0, true);
        for (Client& client : quick) {
            if (!client.receive(0)) continue;
            ASSERT_TRUE(client.response());
            client.get("/quick");
        }
        work();
        server->finish(*exchange);
        if (found) break;
        if (count == 20) {
            fresh.emplace(server.client());
            fresh->get("/fresh");
        }
        since += fresh.has_value();
    }
    EXPECT_LT(since, 100);
}

}  // namespace
}  // namespace mono::engine
