#include "engine/support_test.hpp"

namespace mono::engine {
namespace {

TEST(WarmUp, ComesBeforeAnybodyElse) {
    Server server;
    Client early = server.client();
    early.get("/early");
    ASSERT_TRUE(server->warm_up("/warm?x=1"));
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    EXPECT_EQ(target_of(*exchange), "/warm?x=1");
    EXPECT_EQ(server->warmup_status(), -1);
    respond(server.engine(), *exchange, "warm");
    session::Exchange* first = server.take();
    ASSERT_NE(first, nullptr);
    EXPECT_EQ(target_of(*first), "/early");
    EXPECT_EQ(server->warmup_status(), 200);
    respond(server.engine(), *first, "early");
    EXPECT_EQ(early.response(), "early");
}

TEST(WarmUp, TellsOfFailures) {
    Server server;
    ASSERT_TRUE(server->warm_up("/"));
    session::Exchange* exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    server->write_error(*exchange, 500, "");
    server->finish(*exchange);
    EXPECT_TRUE(server.turn_until([&] { return server->warmup_status() == 500; }));

    ASSERT_TRUE(server->warm_up("/"));
    exchange = server.take();
    ASSERT_NE(exchange, nullptr);
    server->abandon(*exchange);
    EXPECT_TRUE(server.turn_until([&] { return server->warmup_status() == 0; }));
}

}  // namespace
}  // namespace mono::engine
