// Two pools of different kinds under one supervisor: each keeps its own number, back-off and surge;
// phases, reloads and the stop are common.
#include "supervisor/pool.hpp"

#include <gtest/gtest.h>

#include "supervisor/support_test.hpp"

namespace mono::supervisor {
namespace {

// `workers` that serve requests, and `helpers` beside them.
Options two_pools(uint32_t workers, uint32_t helpers) {
    Options options{.workers = workers};
    options.helpers.push_back({.workers = helpers, .timeout_ms = 5'000});
    return options;
}

int forks_of(const Shell& shell, Kind kind) {
    int found = 0;
    for (const Action& action : shell.done)
        found += action.kind == ActionKind::kFork && action.pool == kind;
    return found;
}

// A shell whose processes all serve.
Shell serving(uint32_t workers, uint32_t helpers) {
    Shell shell(two_pools(workers, helpers));
    shell.start();
    shell.ready_all();
    return shell;
}

int pid_of(const Shell& shell, size_t pool) {
    return shell.supervisor.pools()[pool].table().all().front().pid;
}

TEST(Pools, EachIsKeptAtItsNumber) {
    Shell shell = serving(3, 2);
    EXPECT_EQ(forks_of(shell, Kind::kWorker), 3);
    EXPECT_EQ(forks_of(shell, Kind::kHelper), 2);
    EXPECT_EQ(shell.count(ActionKind::kReady), 1) << "once, when both are complete";
    shell.done.clear();
    shell.exit(pid_of(shell, 1), 0);
    EXPECT_EQ(forks_of(shell, Kind::kHelper), 1);
    EXPECT_EQ(forks_of(shell, Kind::kWorker), 0);
}

TEST(Pools, TheirSlotsAreApart) {
    Shell shell = serving(3, 2);
    for (const Worker& worker : shell.supervisor.pools()[0].table().all())
        EXPECT_LT(worker.slot, 64 - Supervisor::kHelperSlots);
    for (const Worker& worker : shell.supervisor.pools()[1].table().all())
        EXPECT_GE(worker.slot, 64 - Supervisor::kHelperSlots);
}

TEST(Pools, SignalsThatChangeANumberMeanTheFirst) {
    Shell shell = serving(2, 1);
    shell.signal(SIGTTIN);
    EXPECT_EQ(shell.supervisor.pools()[0].target(), 3U);
    EXPECT_EQ(shell.supervisor.pools()[1].target(), 1U);
}

TEST(Pools, OneThatCrashesDoesNotHoldTheOtherBack) {
    Shell shell = serving(2, 1);
    for (int round = 0; round < 6; ++round) {
        while (shell.supervisor.pools()[1].table().all().empty()) shell.pass(30'000);
        shell.exit(pid_of(shell, 1), 1 * kCode);
    }
    EXPECT_FALSE(shell.supervisor.pools()[1].backoff().open(shell.now));
    EXPECT_EQ(shell.supervisor.pools()[0].backoff().failures(), 0U);
    shell.done.clear();
    shell.exit(pid_of(shell, 0), 0);
    EXPECT_EQ(forks_of(shell, Kind::kWorker), 1) << "at once";
}

TEST(Pools, EachHasItsOwnTimeout) {
    Shell shell = serving(1, 1);
    shell.done.clear();
    shell.pass(7'000);  // 30 s for workers, 5 s for helpers
    EXPECT_EQ(shell.kills(), (Kills{{pid_of(shell, 1), SIGABRT}, {pid_of(shell, 1), SIGKILL}}));
}

TEST(Pools, AReloadIsProvenByACanaryInEach) {
    Shell shell = serving(2, 1);
    shell.done.clear();
    shell.reload(two_pools(2, 1));
    EXPECT_TRUE(shell.supervisor.on_trial());
    EXPECT_EQ(forks_of(shell, Kind::kWorker), 1);
    EXPECT_EQ(forks_of(shell, Kind::kHelper), 1);
    shell.ready(shell.supervisor.pools()[0].table().all().back().pid);
    EXPECT_TRUE(shell.supervisor.on_trial()) << "the helper has not served yet";
    EXPECT_EQ(shell.count(ActionKind::kKill), 0);
    shell.ready(shell.supervisor.pools()[1].table().all().back().pid);
    EXPECT_FALSE(shell.supervisor.on_trial());
    EXPECT_EQ(shell.count(ActionKind::kCommit), 1);
    EXPECT_GT(shell.count(ActionKind::kKill), 0);
}

TEST(Pools, ACanaryThatFailsTakesTheReloadBackInAll) {
    Shell shell = serving(2, 1);
    shell.reload(two_pools(4, 3));
    shell.ready(shell.supervisor.pools()[0].table().all().back().pid);
    shell.done.clear();
    shell.exit(shell.supervisor.pools()[1].table().all().back().pid, 1 * kCode);
    EXPECT_EQ(shell.count(ActionKind::kRollBack), 1);
    EXPECT_EQ(shell.supervisor.pools()[0].target(), 2U);
    EXPECT_EQ(shell.supervisor.pools()[1].target(), 1U);
    EXPECT_EQ(shell.supervisor.pools()[1].options().workers, 1U);
}

TEST(Pools, OneThatAConfigurationLeavesOutIsEmptied) {
    Shell shell = serving(1, 2);
    shell.reload({.workers = 1});
    shell.ready(shell.supervisor.pools()[0].table().all().back().pid);
    EXPECT_FALSE(shell.supervisor.on_trial());
    for (int left = 0; left < 2; ++left) shell.exit(pid_of(shell, 1), 0);
    EXPECT_TRUE(shell.supervisor.pools()[1].table().all().empty());
    shell.pass(60'000);
    EXPECT_TRUE(shell.supervisor.pools()[1].table().all().empty());
}

TEST(Pools, OneThatWasEmptyIsTriedToo) {
    Shell shell = serving(1, 0);
    shell.reload(two_pools(1, 2));
    shell.ready(shell.supervisor.pools()[0].table().all().back().pid);
    ASSERT_EQ(shell.supervisor.pools()[1].table().size(), 1U) << "its canary";
    EXPECT_TRUE(shell.supervisor.on_trial());
    shell.ready(pid_of(shell, 1));
    EXPECT_FALSE(shell.supervisor.on_trial());
    EXPECT_EQ(shell.supervisor.pools()[1].table().size(), 2U);
}

TEST(Pools, AStopEndsAll) {
    Shell shell = serving(2, 1);
    shell.done.clear();
    shell.signal(SIGTERM);
    EXPECT_EQ(shell.count(ActionKind::kKill), 3);
    EXPECT_EQ(shell.count(ActionKind::kHalt), 0);
    for (const auto& [pid, slot] : std::map(shell.pids)) shell.exit(pid, 0);
    EXPECT_EQ(shell.count(ActionKind::kHalt), 1);
}

}  // namespace
}  // namespace mono::supervisor
