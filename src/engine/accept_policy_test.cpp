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

TEST(AcceptPolicy, NoMoreThanItMayHold) {
    Load load = idle();
    load.clients_room = 3;
    EXPECT_EQ(accept_budget(load), 3u);
    load.their_turn = true;
    load.clients_room = 0;
    EXPECT_EQ(accept_budget(load), 0u);
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

TEST(Descriptors, ATenthAnd32AtLeastAreTheApplications) {
    for (uint64_t files_max : {256u, 1024u, 65'536u, 1'048'576u}) {
        const Descriptors ours = descriptors_of(files_max, 20);
        const uint64_t kept = files_max - 20 - ours.links_max - ours.files_kept;
        EXPECT_EQ(kept, std::max<uint64_t>(32, files_max / 10)) << files_max;
    }
    EXPECT_EQ(descriptors_of(UINT64_MAX, 20).links_max, descriptors_of(1u << 30, 20).links_max);
}

TEST(Descriptors, WhereThereAreFewHalfOfThemAreTheApplications) {
    const Descriptors few = descriptors_of(40, 20);
    EXPECT_EQ(few.links_max + few.files_kept, 10u);
    EXPECT_GT(few.files_kept, 0u);
    for (uint64_t used : {39u, 40u, 50u}) EXPECT_GE(descriptors_of(40, used).links_max, 1u);
}

TEST(Descriptors, FilesHaveTheirOwnAndMayTakeOfTheConnections) {
    Descriptors use{.links_max = 10, .files_kept = 2};
    use.links = 10;
    use.files = 1;
    EXPECT_EQ(use.taken(), 10u);
    EXPECT_TRUE(use.room_for_file());
    use.files = 2;
    EXPECT_FALSE(use.room_for_file());
    use.links = 5;
    EXPECT_TRUE(use.room_for_file());
    use.files = 7;
    EXPECT_EQ(use.taken(), 10u);
    EXPECT_FALSE(use.room_for_file());
}

}  // namespace
}  // namespace mono::engine
