#include "engine/accept_policy.hpp"

#include <gtest/gtest.h>

namespace mono::engine {
namespace {

Load idle() {
    Load load;
    load.slots = 4;
    load.connections_max = 1000;
    return load;
}

TEST(AcceptPolicy, ALoneWorkerTakesABatch) { EXPECT_EQ(accept_budget(idle()), kAcceptBatch); }

TEST(AcceptPolicy, ASiblingTakesOnlyWhatItCanServeNow) {
    Load load = idle();
    load.shared = true;
    EXPECT_EQ(accept_budget(load), 4u);
    load.busy = 2;
    load.ready = 1;
    EXPECT_EQ(accept_budget(load), 1u);
}

TEST(AcceptPolicy, NothingWithoutAFreeSlot) {
    Load load = idle();
    load.busy = 3;
    load.ready = 1;
    EXPECT_EQ(accept_budget(load), 0u);
    load.ready = 9;
    EXPECT_EQ(accept_budget(load), 0u);
}

TEST(AcceptPolicy, NewConnectionsHaveTheirTurn) {
    Load load = idle();
    load.their_turn = load.shared = true;
    load.ready = 9;
    EXPECT_EQ(accept_budget(load), kTurnBatch);
    load.connections = 999;
    EXPECT_EQ(accept_budget(load), 1u);
}

TEST(AcceptPolicy, NothingWhileDraining) {
    Load load = idle();
    load.draining = true;
    EXPECT_EQ(accept_budget(load), 0u);
    load.their_turn = true;
    EXPECT_EQ(accept_budget(load), 0u);
}

TEST(AcceptPolicy, NeverMoreThanThereAreDescriptorsFor) {
    Load load = idle();
    load.connections = 998;
    EXPECT_EQ(accept_budget(load), 2u);
    load.connections = 1000;
    EXPECT_EQ(accept_budget(load), 0u);
}

}  // namespace
}  // namespace mono::engine
