#include "supervisor/worker_table.hpp"

#include <gtest/gtest.h>

namespace mono::supervisor {
namespace {

TEST(WorkerTable, GivesTheLowestFreeSlotAndAgesThatRise) {
    WorkerTable table(3);
    EXPECT_EQ(table.add(1)->slot, 0u);
    EXPECT_EQ(table.add(1)->slot, 1u);
    table.remove(0);
    Worker* third = table.add(1);
    EXPECT_EQ(third->slot, 0u);
    EXPECT_EQ(third->age, 3u);
    EXPECT_EQ(table.last_age(), 3u);
}

TEST(WorkerTable, HasNoMoreWorkersThanSlots) {
    WorkerTable table(1);
    ASSERT_NE(table.add(1), nullptr);
    EXPECT_EQ(table.add(1), nullptr);
    EXPECT_EQ(table.last_age(), 1u);
    table.remove(0);
    EXPECT_NE(table.add(1), nullptr);
}

TEST(WorkerTable, FindsByPidOnlyWhatHasOne) {
    WorkerTable table(2);
    table.add(1)->pid = 42;
    table.add(1);
    EXPECT_EQ(table.by_pid(42)->slot, 0u);
    EXPECT_EQ(table.by_pid(0), nullptr);
    EXPECT_EQ(table.by_pid(43), nullptr);
    EXPECT_EQ(table.by_slot(1)->pid, 0);
    EXPECT_EQ(table.by_slot(2), nullptr);
}

TEST(WorkerTable, CountsByGenerationAndState) {
    WorkerTable table(4);
    table.add(1)->state = State::kServing;
    table.add(1)->state = State::kRetiring;
    table.add(2)->state = State::kBooting;
    table.add(2)->doomed = true;
    EXPECT_EQ(table.fresh(1), 1u);
    EXPECT_EQ(table.fresh(2), 1u);
    EXPECT_EQ(table.outdated(2), 1u);
    EXPECT_EQ(table.serving(), 1u);
    EXPECT_EQ(table.ending(), 0u);
    table.by_slot(0)->state = State::kKilled;
    EXPECT_EQ(table.ending(), 0u);
    table.by_slot(0)->reason = Reason::kTimeout;
    EXPECT_EQ(table.ending(), 1u);
}

}  // namespace
}  // namespace mono::supervisor
