// Workers that go although they serve: memory and stuck requests, told event by event.
#include <gtest/gtest.h>

#include "supervisor/support_test.hpp"

namespace mono::supervisor {
namespace {

constexpr int64_t kMib = 1 << 20;
constexpr int64_t kLimit = 100 * kMib;

// Every worker takes `bytes` at each of so many looks.
void look(Shell& shell, int times, const std::map<int, int64_t>& bytes) {
    for (int i = 0; i < times; ++i) {
        shell.beat_all();
        for (const auto& [pid, taken] : bytes) {
            if (shell.pids.contains(pid)) shell.board[shell.pids[pid]].memory_bytes = taken;
        }
        EXPECT_LE(shell.supervisor.wake_at_ms(), shell.now + Supervisor::kMeasureMs);
        shell.tick(Supervisor::kMeasureMs);
    }
}

Options limited(uint32_t workers) {
    return {.workers = workers, .memory_limit_bytes = kLimit, .lifetime_min_ms = 10'000};
}

TEST(Memory, ThreeLooksRunningReplaceAWorkerByOneThatServes) {
    Shell shell = running(2, limited(2));
    shell.pass(10'000);
    shell.kills();
    look(shell, 2, {{101, kLimit + kMib}});
    look(shell, 1, {{101, kLimit}});  // not above it: counting begins anew
    look(shell, 2, {{101, kLimit + kMib}});
    EXPECT_EQ(shell.next_pid, 103);
    look(shell, 1, {{101, kLimit + kMib}});
    EXPECT_TRUE(shell.said(kInfo, "(pid:101) takes 101 MiB of memory"));
    EXPECT_TRUE(shell.said(kInfo, "max_worker_memory (100 MiB)"));
    EXPECT_EQ(shell.next_pid, 104);
    EXPECT_TRUE(shell.kills().empty());  // it serves until the other does
    shell.ready(103);
    EXPECT_EQ(shell.kills(), (Kills{{101, SIGTERM}}));
    shell.exit(101, 0);
    EXPECT_EQ(shell.supervisor.workers().size(), 2U);
    EXPECT_EQ(shell.supervisor.backoff().failures(), 0U);
}

TEST(Memory, OneAtATimeTheGreatestFirst) {
    Shell shell = running(3, limited(3));
    shell.pass(10'000);
    look(shell, 6, {{101, 2 * kLimit}, {102, 4 * kLimit}, {103, 3 * kLimit}});
    EXPECT_EQ(shell.next_pid, 105);
    shell.kills();
    shell.ready(104);
    EXPECT_EQ(shell.kills(), (Kills{{102, SIGTERM}}));
    look(shell, 3, {{101, 2 * kLimit}, {103, 3 * kLimit}});
    EXPECT_EQ(shell.next_pid, 105);  // the first one still drains
    shell.exit(102, 0);
    EXPECT_EQ(shell.next_pid, 106);
    shell.ready(105);
    EXPECT_EQ(shell.kills(), (Kills{{103, SIGTERM}}));
}

TEST(Memory, AYoungWorkerIsSpared) {
    Shell shell = running(1, limited(1));
    shell.beat_all();
    shell.tick(1'000);
    look(shell, 1, {{101, 2 * kLimit}});
    EXPECT_EQ(shell.next_pid, 102);
    look(shell, 2, {{101, 2 * kLimit}});
    EXPECT_EQ(shell.next_pid, 103);
}

TEST(Memory, WithoutAReplacementTheOldOneGoesOn) {
    Shell shell = running(1, limited(1));
    shell.pass(10'000);
    look(shell, 3, {{101, 2 * kLimit}});
    shell.kills();
    for (int pid = 102; pid < 106; ++pid) {
        shell.exit(pid, kCode);
        look(shell, 8, {{101, 2 * kLimit}});
        EXPECT_TRUE(shell.kills().empty());
    }
    EXPECT_EQ(shell.supervisor.workers().serving(), 1U);
    EXPECT_EQ(shell.supervisor.phase(), Phase::kRunning);
}

TEST(Memory, NothingIsMeasuredWithoutALimit) {
    Shell shell = running(1, {.timeout_ms = 0});
    EXPECT_FALSE(shell.supervisor.memory_due(shell.now + 1'000'000));
    EXPECT_EQ(shell.supervisor.wake_at_ms(), Supervisor::kNever);
}

TEST(Memory, AReloadComesFirst) {
    Shell shell = running(1, limited(1));
    shell.pass(10'000);
    shell.reload(limited(1));
    look(shell, 4, {{101, 2 * kLimit}});
    EXPECT_EQ(shell.next_pid, 103);  // the canary
}

void hold(Shell& shell, int pid, uint32_t in_flight, uint32_t stuck) {
    shell.board[shell.pids[pid]].in_flight = in_flight;
    shell.board[shell.pids[pid]].stuck = stuck;
    shell.beat_all();
    shell.tick(Supervisor::kPollMs);
}

TEST(Stuck, OthersInTheWorkerMayFinish) {
    Shell shell = running(2, {.watch_requests = true});
    shell.kills();
    EXPECT_LE(shell.supervisor.wake_at_ms(), shell.now + Supervisor::kPollMs);
    hold(shell, 101, 3, 1);
    EXPECT_TRUE(shell.said(kWarning, "(pid:101) holds 1 requests"));
    EXPECT_EQ(shell.next_pid, 104);
    hold(shell, 101, 3, 1);
    EXPECT_TRUE(shell.kills().empty());
    shell.ready(103);
    EXPECT_EQ(shell.kills(), (Kills{{101, SIGTERM}}));
    hold(shell, 101, 2, 1);
    EXPECT_TRUE(shell.kills().empty());
    hold(shell, 101, 1, 1);
    EXPECT_EQ(shell.kills(), (Kills{{101, SIGABRT}}));
    shell.pass(Supervisor::kAbortGraceMs);
    EXPECT_EQ(shell.kills(), (Kills{{101, SIGKILL}}));
    shell.exit(101, SIGKILL);
    EXPECT_TRUE(shell.said(kWarning, "request_kill_timeout"));
    EXPECT_EQ(shell.supervisor.workers().size(), 2U);
    EXPECT_EQ(shell.supervisor.backoff().failures(), 0U);
}

// C code that holds the GIL stops them too: KILL alone would cut their connections.
TEST(Stuck, OthersThatCannotFinishGetLastWords) {
    Shell shell = running(1, {.graceful_timeout_ms = 4'000, .watch_requests = true});
    hold(shell, 101, 2, 1);
    shell.ready(102);
    EXPECT_EQ(shell.kills(), (Kills{{101, SIGTERM}}));
    shell.pass(3'999);
    EXPECT_TRUE(shell.kills().empty());
    shell.pass(1);
    EXPECT_TRUE(shell.said(kWarning, "(pid:101) did not stop in time and is aborted"));
    EXPECT_EQ(shell.kills(), (Kills{{101, SIGABRT}}));
    shell.pass(Supervisor::kAbortGraceMs);
    EXPECT_EQ(shell.kills(), (Kills{{101, SIGKILL}}));
}

TEST(Stuck, NotMoreAtOnceThanMaxSurge) {
    Shell shell = running(4, {.max_surge = 1, .watch_requests = true});
    for (int pid = 101; pid < 105; ++pid) hold(shell, pid, 1, 1);
    EXPECT_EQ(shell.supervisor.workers().size(), 5U);
    EXPECT_EQ(shell.supervisor.workers().serving(), 4U);
}

TEST(Stuck, AStopWaitsForNobodyWhoIsStuckAlone) {
    Shell shell = running(1, {.watch_requests = true});
    shell.board[shell.pids[101]].in_flight = 1;
    shell.board[shell.pids[101]].stuck = 1;
    shell.signal(SIGTERM);
    shell.kills();
    shell.tick(1);
    EXPECT_EQ(shell.kills(), (Kills{{101, SIGABRT}}));
    shell.exit(101, SIGABRT);
    EXPECT_EQ(shell.last(ActionKind::kHalt)->number, 0);
}

TEST(Stuck, DuringATrialTheyWait) {
    Shell shell = running(1, {.watch_requests = true});
    shell.reload({.workers = 1, .watch_requests = true});
    hold(shell, 101, 1, 1);
    EXPECT_EQ(shell.next_pid, 103);
    shell.exit(102, kCode);
    EXPECT_EQ(shell.next_pid, 104);  // given up: now it is replaced for its own sake
}

void withdraw(Shell& shell, int pid, bool over = false) {
    shell.board[shell.pids[pid]].withdrawn = true;
    shell.board[shell.pids[pid]].over = over;
    shell.tick();
    shell.pass(Supervisor::kLeftPatienceMs);
}

TEST(Left, WhoIsGoneAtOnceIsReplacedAfterwards) {
    Shell shell = running(1);
    shell.board[shell.pids[101]].withdrawn = true;
    shell.tick();
    EXPECT_EQ(shell.next_pid, 102);
    EXPECT_LE(shell.supervisor.wake_at_ms(), shell.now + Supervisor::kLeftPatienceMs);
    shell.exit(101, 0);
    EXPECT_EQ(shell.next_pid, 103);
}

TEST(Left, ItsSuccessorStartsAtOnce) {
    Shell shell = running(2);
    shell.kills();
    withdraw(shell, 101);
    EXPECT_EQ(shell.next_pid, 104);
    EXPECT_TRUE(shell.kills().empty());  // it goes by itself
    shell.ready(103);
    EXPECT_EQ(shell.supervisor.workers().serving(), 2U);
    shell.exit(101, 0);
    EXPECT_EQ(shell.next_pid, 104);
    EXPECT_EQ(shell.supervisor.backoff().failures(), 0U);
    EXPECT_FALSE(shell.said(kWarning, "101"));
}

TEST(Left, AStillHeartIsNoFaultOfIts) {
    Shell shell = running(1, {.timeout_ms = 5'000, .graceful_timeout_ms = 60'000});
    withdraw(shell, 101, true);
    shell.ready(102);
    shell.kills();
    for (int i = 0; i < 10; ++i) {
        shell.board[shell.pids[102]].beat_ms = shell.now;
        shell.pass(4'000);
    }
    EXPECT_TRUE(shell.kills().empty());
    shell.exit(101, 0);
    EXPECT_EQ(shell.next_pid, 103);
}

TEST(Left, ItIsKilledOnceItsGraceIsOver) {
    Shell shell = running(1, {.timeout_ms = 0, .graceful_timeout_ms = 5'000});
    withdraw(shell, 101, true);
    shell.ready(102);
    shell.kills();
    shell.pass(5'000);
    EXPECT_TRUE(shell.kills().empty());
    shell.pass(Supervisor::kLeftExtraMs);
    EXPECT_TRUE(shell.said(kWarning, "(pid:101) still waits for threads of the application"));
    EXPECT_EQ(shell.kills(), (Kills{{101, SIGKILL}}));
    shell.exit(101, SIGKILL);
    EXPECT_TRUE(shell.said(kWarning, "after it had stopped taking requests"));
    EXPECT_FALSE(shell.said(kWarning, "not by the master"));
    EXPECT_EQ(shell.supervisor.backoff().failures(), 0U);
}

TEST(Left, SomebodyElsesKillIsStillTold) {
    Shell shell = running(1);
    withdraw(shell, 101);
    shell.exit(101, SIGKILL);
    EXPECT_TRUE(shell.said(kError, "was killed by SIGKILL, not by the master"));
}

// They may be many, each with a thread of its own that does not end.
TEST(Left, ProcessesAreBoundedAllTheSame) {
    Shell shell = running(2);
    for (int pid = 101; pid < 110; ++pid) {
        if (shell.pids.contains(pid)) shell.ready(pid);
        if (shell.pids.contains(pid)) withdraw(shell, pid, true);
    }
    EXPECT_EQ(shell.supervisor.workers().size(), 4U);
}

TEST(Left, AStopTellsItToo) {
    Shell shell = running(1);
    withdraw(shell, 101);
    shell.kills();
    shell.signal(SIGTERM);
    EXPECT_EQ(shell.kills(), (Kills{{101, SIGTERM}, {102, SIGTERM}}));
    shell.exit(101, 0);
    shell.exit(102, 0);
    EXPECT_EQ(shell.last(ActionKind::kHalt)->number, 0);
}

}  // namespace
}  // namespace mono::supervisor
