// Single scenarios, each told event by event. Random histories: tests/sim.
#include "supervisor/supervisor.hpp"

#include <gtest/gtest.h>

#include <csignal>

#include "supervisor/support_test.hpp"

namespace mono::supervisor {
namespace {

TEST(Start, ForksTheNumberAtOnceAndSaysReadyOnce) {
    Shell shell({.workers = 3});
    shell.start();
    EXPECT_EQ(shell.count(ActionKind::kFork), 3);
    EXPECT_EQ(shell.count(ActionKind::kReady), 0);
    shell.ready(101);
    shell.ready(102);
    EXPECT_EQ(shell.count(ActionKind::kReady), 0);
    shell.ready(103);
    shell.tick(10);
    EXPECT_EQ(shell.count(ActionKind::kReady), 1);
}

TEST(Start, NothingHappensBeforeIt) {
    Shell shell({.workers = 2});
    shell.tick(10);
    shell.signal(SIGTERM);
    EXPECT_TRUE(shell.done.empty());
    EXPECT_EQ(shell.supervisor.wake_at_ms(), Supervisor::kNever);
}

TEST(Start, NoWorkersWantedIsReady) {
    Shell shell({.workers = 0});
    shell.start();
    EXPECT_EQ(shell.count(ActionKind::kFork), 0);
    EXPECT_EQ(shell.count(ActionKind::kReady), 1);
}

TEST(Boot, CodeThreeAndFourHaltTheServerWithTheirCode) {
    for (int code : {3, 4}) {
        Shell shell({.workers = 2});
        shell.start();
        shell.exit(101, code * kCode);
        EXPECT_EQ(shell.supervisor.phase(), Phase::kStopping);
        EXPECT_EQ(shell.count(ActionKind::kChildExit), 0);
        shell.exit(102, code * kCode);
        ASSERT_NE(shell.last(ActionKind::kHalt), nullptr);
        EXPECT_EQ(shell.last(ActionKind::kHalt)->number, code);
        EXPECT_FALSE(shell.last(ActionKind::kHalt)->text.empty());
    }
}

TEST(Crash, FirstDeathIsReplacedAtOnceThenSlower) {
    Shell shell = running(1);
    shell.exit(101, SIGSEGV);
    EXPECT_EQ(shell.next_pid, 103);
    EXPECT_TRUE(shell.said(kWarning, "SIGSEGV"));
    shell.exit(102, SIGSEGV);
    EXPECT_EQ(shell.next_pid, 103);
    EXPECT_EQ(shell.supervisor.wake_at_ms(), shell.now + 100);
    shell.pass(99);
    EXPECT_EQ(shell.next_pid, 103);
    shell.pass(1);
    EXPECT_EQ(shell.next_pid, 104);
}

TEST(Crash, KillingHealthyWorkersOneByOneIsNoLoop) {
    Shell shell = running(4);
    for (int pid = 101; pid < 141; ++pid) {
        shell.pass(5);
        shell.beat_all();
        shell.exit(pid, pid % 2 == 0 ? SIGKILL : SIGTERM);
        EXPECT_EQ(shell.supervisor.workers().size(), 4U) << pid;
        shell.ready_all();
    }
}

TEST(Crash, WorkersThatServeAWhileAreForgivenTheirFaults) {
    Shell shell = running(1);
    for (int pid = 101; pid < 121; ++pid) {
        shell.pass(3'000);
        shell.beat_all();
        shell.exit(pid, SIGSEGV);
        EXPECT_EQ(shell.supervisor.workers().size(), 1U) << pid;
        shell.ready_all();
    }
}

TEST(Crash, AMinuteOfHealthForgetsThem) {
    Shell shell = running(1);
    for (int pid = 101; pid < 106; ++pid) {
        shell.exit(pid, SIGSEGV);
        shell.pass(2'000);
        shell.ready_all();
    }
    EXPECT_GT(shell.supervisor.backoff().failures(), 2U);
    for (int i = 0; i < 6; ++i) {
        shell.pass(10'000);
        shell.beat_all();
    }
    shell.tick(100);
    EXPECT_EQ(shell.supervisor.backoff().failures(), 0U);
}

TEST(Crash, RecyclingIsNoFailure) {
    Shell shell = running(1);
    for (int pid = 101; pid < 120; ++pid) {
        shell.exit(pid, 0);
        shell.ready(pid + 1);
    }
    EXPECT_EQ(shell.supervisor.backoff().failures(), 0U);
}

TEST(Fork, AFailureIsLoggedAndRetriedLater) {
    Shell shell({.workers = 1});
    shell.fork_works = false;
    shell.start();
    EXPECT_TRUE(shell.said(kError, "no memory"));
    shell.fork_works = true;
    shell.tick(50);
    EXPECT_EQ(shell.next_pid, 101);
    shell.pass(60);
    EXPECT_EQ(shell.next_pid, 102);
}

TEST(Stop, TermWaitsThenKills) {
    Shell shell = running(2);
    shell.kills();
    shell.signal(SIGTERM);
    EXPECT_EQ(shell.count(ActionKind::kCloseListeners), 1);
    EXPECT_EQ(shell.kills(), (Kills{{101, SIGTERM}, {102, SIGTERM}}));
    shell.signal(SIGTERM);
    shell.signal(SIGHUP);
    shell.exit(101, 0);
    shell.pass(29'999);
    EXPECT_TRUE(shell.kills().empty());
    shell.pass(1);
    EXPECT_EQ(shell.kills(), (Kills{{102, SIGKILL}}));
    shell.exit(102, SIGKILL);
    ASSERT_NE(shell.last(ActionKind::kHalt), nullptr);
    EXPECT_EQ(shell.last(ActionKind::kHalt)->number, 0);
    shell.done.clear();
    shell.signal(SIGTERM);
    shell.tick(1'000);
    EXPECT_TRUE(shell.done.empty());
}

TEST(Stop, IntSendsQuitAndASecondOneCutsTheWait) {
    Shell shell = running(1);
    shell.kills();
    shell.signal(SIGTERM);
    EXPECT_EQ(shell.kills(), (Kills{{101, SIGTERM}}));
    shell.signal(SIGINT);
    EXPECT_EQ(shell.kills(), (Kills{{101, SIGQUIT}}));
    shell.pass(1'999);
    EXPECT_TRUE(shell.kills().empty());
    shell.pass(1);
    EXPECT_EQ(shell.kills(), (Kills{{101, SIGKILL}}));
}

TEST(Stop, QuitAtOnceSendsQuit) {
    Shell shell = running(1);
    shell.kills();
    shell.signal(SIGQUIT);
    EXPECT_EQ(shell.kills(), (Kills{{101, SIGQUIT}}));
    EXPECT_EQ(shell.supervisor.phase(), Phase::kQuitting);
}

TEST(Stop, AWorkerThatCannotBeKilledDoesNotKeepTheMaster) {
    Shell shell = running(1, {.graceful_timeout_ms = 0});
    shell.signal(SIGTERM);
    EXPECT_EQ(shell.kills().back(), (std::pair{101, SIGKILL}));
    shell.pass(Supervisor::kGiveUpMs);
    EXPECT_TRUE(shell.said(kError, "could not be killed"));
    EXPECT_EQ(shell.supervisor.phase(), Phase::kHalted);
}

TEST(Numbers, TtinAndTtouChangeTheTargetDownToOne) {
    Shell shell = running(1);
    shell.signal(SIGTTIN);
    EXPECT_EQ(shell.supervisor.target(), 2U);
    EXPECT_EQ(shell.last(ActionKind::kWorkersChanged)->previous, 1U);
    shell.ready_all();
    shell.kills();
    shell.signal(SIGTTOU);
    EXPECT_EQ(shell.kills(), (Kills{{101, SIGTERM}}));  // the oldest
    shell.signal(SIGTTOU);
    EXPECT_EQ(shell.supervisor.target(), 1U);
    shell.tick(1'000);
    EXPECT_TRUE(shell.kills().empty());  // TERM is sent once
    shell.pass(29'000);
    EXPECT_EQ(shell.kills(), (Kills{{101, SIGKILL}}));
}

TEST(Numbers, ABootingWorkerGoesBeforeTheLastServingOne) {
    Shell shell = running(1);
    shell.signal(SIGTTIN);
    shell.kills();
    shell.signal(SIGTTOU);
    EXPECT_EQ(shell.kills(), (Kills{{102, SIGTERM}}));
}

TEST(Numbers, HooksMaySetThem) {
    Shell shell = running(1);
    shell.give({.kind = EventKind::kSetWorkers, .number = 3});
    EXPECT_EQ(shell.supervisor.workers().size(), 3U);
    shell.give({.kind = EventKind::kSetWorkers, .number = -5});
    EXPECT_EQ(shell.supervisor.target(), 0U);
    shell.give({.kind = EventKind::kSetWorkers, .number = 1'000});
    EXPECT_EQ(shell.supervisor.target(), 32U);
    EXPECT_TRUE(shell.said(kWarning, "32"));
}

TEST(Numbers, ProcessesStayBelowTwiceTheTargetWhileOldOnesDrain) {
    Shell shell = running(2);
    for (int i = 0; i < 50; ++i) {
        shell.signal(SIGTTIN);
        shell.ready_all();
        shell.signal(SIGTTOU);
        EXPECT_LE(shell.supervisor.workers().size(), 6U);
    }
}

TEST(Timeout, AbortThenKillASecondLater) {
    Shell shell = running(1);
    shell.kills();
    shell.pass(30'400);
    EXPECT_TRUE(shell.kills().empty());
    shell.pass(200);
    EXPECT_TRUE(shell.said(kCritical, "WORKER TIMEOUT (pid:101)"));
    EXPECT_EQ(shell.kills(), (Kills{{101, SIGABRT}}));
    shell.pass(900);
    EXPECT_TRUE(shell.kills().empty());
    shell.pass(200);
    EXPECT_EQ(shell.kills(), (Kills{{101, SIGKILL}}));
    EXPECT_EQ(shell.next_pid, 102);  // its place is free only when it is reaped
    shell.exit(101, SIGKILL);
    EXPECT_EQ(shell.next_pid, 103);
}

TEST(Timeout, AWorkerThatBeatsIsLeftAlone) {
    Shell shell = running(1);
    shell.kills();
    for (int i = 0; i < 20; ++i) {
        shell.pass(15'000);
        shell.beat_all();
    }
    EXPECT_TRUE(shell.kills().empty());
}

TEST(Timeout, AWorkerThatNeverBecomesReadyIsTreatedTheSame) {
    Shell shell({.workers = 1});
    shell.start();
    shell.pass(31'000);
    EXPECT_EQ(shell.kills(), (Kills{{101, SIGABRT}}));
}

TEST(Timeout, ZeroWatchesNothing) {
    Shell shell = running(1, {.timeout_ms = 0});
    shell.kills();
    EXPECT_EQ(shell.supervisor.wake_at_ms(), Supervisor::kNever);
    shell.pass(10'000'000);
    EXPECT_TRUE(shell.kills().empty());
}

TEST(Stall, AMasterThatSleptGrantsAFreshGrace) {
    Shell shell = running(4);
    shell.kills();
    shell.tick(600'000);
    shell.tick(1'000);
    EXPECT_TRUE(shell.said(kWarning, "did not run"));
    EXPECT_TRUE(shell.kills().empty());
    shell.pass(30'000);
    EXPECT_EQ(shell.kills().size(), 4U);  // they really do not beat
}

TEST(Stall, AStopGetsItsTimeBackToo) {
    Shell shell = running(1);
    shell.signal(SIGTERM);
    shell.kills();
    shell.tick(600'000);
    EXPECT_TRUE(shell.kills().empty());
    shell.pass(30'000);
    EXPECT_EQ(shell.kills(), (Kills{{101, SIGKILL}}));
}

TEST(Signals, Usr1ReopensEverywhere) {
    Shell shell = running(2);
    shell.kills();
    shell.signal(SIGUSR1);
    EXPECT_EQ(shell.count(ActionKind::kReopenLogs), 1);
    EXPECT_EQ(shell.kills(), (Kills{{101, SIGUSR1}, {102, SIGUSR1}}));
}

TEST(Signals, WinchNeedsADaemon) {
    Shell shell = running(2);
    shell.kills();
    shell.signal(SIGWINCH);
    EXPECT_EQ(shell.supervisor.target(), 2U);
    Shell daemon = running(2, {.daemon = true});
    daemon.kills();
    daemon.signal(SIGWINCH);
    EXPECT_EQ(daemon.kills(), (Kills{{101, SIGTERM}, {102, SIGTERM}}));
    daemon.signal(SIGHUP);
    daemon.give({.kind = EventKind::kReloaded, .options = {.workers = 2, .daemon = true}});
    EXPECT_EQ(daemon.supervisor.target(), 2U);
}

TEST(Signals, Usr2OnlyOnceAndNotByAnUnpromotedMaster) {
    Shell shell = running(1);
    shell.signal(SIGUSR2);
    shell.signal(SIGUSR2);
    EXPECT_EQ(shell.count(ActionKind::kReexec), 1);
    shell.give({.kind = EventKind::kReexecForked, .pid = 900});
    shell.signal(SIGUSR2);
    EXPECT_EQ(shell.count(ActionKind::kReexec), 1);
    shell.give({.kind = EventKind::kExited, .number = kCode, .pid = 900});
    EXPECT_TRUE(shell.said(kWarning, "new master is gone"));
    shell.signal(SIGUSR2);
    EXPECT_EQ(shell.count(ActionKind::kReexec), 2);
    shell.give({.kind = EventKind::kReexecFailed});
    shell.signal(SIGUSR2);
    EXPECT_EQ(shell.count(ActionKind::kReexec), 3);

    Shell young = running(1, {.unpromoted = true});
    young.signal(SIGUSR2);
    EXPECT_EQ(young.count(ActionKind::kReexec), 0);
    young.give({.kind = EventKind::kPromoted});
    young.signal(SIGUSR2);
    EXPECT_EQ(young.count(ActionKind::kReexec), 1);
}

TEST(Reaping, ForeignChildrenAreQuiet) {
    Shell shell = running(1);
    shell.done.clear();
    shell.give({.kind = EventKind::kExited, .pid = 7777});
    EXPECT_TRUE(shell.said(kDebug, "7777"));
    EXPECT_EQ(shell.count(ActionKind::kChildExit), 0);
    shell.give({.kind = EventKind::kExited, .pid = 0});
    EXPECT_EQ(shell.supervisor.workers().size(), 1U);
}

TEST(Slots, TheLowestFreeOneIsUsedAgain) {
    Shell shell = running(3);
    shell.exit(102, 0);
    EXPECT_EQ(shell.pids[104], 1U);
}

TEST(Slots, TheTableNeverOutgrowsThem) {
    WorkerTable table(2);
    EXPECT_NE(table.add(1), nullptr);
    EXPECT_NE(table.add(1), nullptr);
    EXPECT_EQ(table.add(1), nullptr);
    table.remove(0);
    EXPECT_EQ(table.add(2)->slot, 0U);
    EXPECT_EQ(table.last_age(), 3U);
    EXPECT_EQ(table.by_slot(7), nullptr);
}

}  // namespace
}  // namespace mono::supervisor
