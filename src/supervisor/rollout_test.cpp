// Reloads, told event by event: trial, rolling replacement, giving up. Random histories: tests/sim.
#include <gtest/gtest.h>

#include "supervisor/support_test.hpp"

namespace mono::supervisor {
namespace {

TEST(Reload, OneCanaryIsTriedBeforeAnythingElseHappens) {
    Shell shell = running(2);
    shell.signal(SIGHUP);
    EXPECT_EQ(shell.count(ActionKind::kReload), 1);
    shell.give({.kind = EventKind::kReloaded, .options = {.workers = 2}});
    EXPECT_EQ(shell.count(ActionKind::kWorkersChanged), 0);  // the shell did that itself
    EXPECT_EQ(shell.next_pid, 104);
    EXPECT_TRUE(shell.supervisor.on_trial());
    EXPECT_TRUE(shell.kills().empty());
    shell.ready(103);
    EXPECT_EQ(shell.count(ActionKind::kCommit), 1);
    EXPECT_TRUE(shell.supervisor.rolling());
    EXPECT_EQ(shell.kills(), (Kills{{101, SIGTERM}}));
    EXPECT_EQ(shell.next_pid, 105);
    shell.ready(104);
    EXPECT_EQ(shell.count(ActionKind::kReady), 1);
    EXPECT_FALSE(shell.supervisor.rolling());
    EXPECT_EQ(shell.kills(), (Kills{{102, SIGTERM}}));
}

TEST(Reload, WithoutLimitsAllOthersFollowAtOnce) {
    Shell shell = running(8);
    shell.reload({.workers = 8});
    shell.ready(109);
    EXPECT_EQ(shell.supervisor.workers().size(), 16U);
}

TEST(Reload, MaxSurgeBoundsWhatIsAboveTheTarget) {
    Shell shell = running(4);
    shell.reload({.workers = 4, .max_surge = 2});
    shell.ready(105);
    EXPECT_EQ(shell.supervisor.workers().size(), 6U);
    shell.exit(101, 0);  // the first old one was told to go
    EXPECT_EQ(shell.supervisor.workers().size(), 6U);
    shell.pass(5'000);
    EXPECT_TRUE(shell.supervisor.rolling());
    EXPECT_EQ(shell.supervisor.workers().size(), 6U);
}

TEST(Reload, WithoutSurgeAndWithoutUnavailableItMovesAllTheSame) {
    Shell shell = running(2);
    shell.reload({.workers = 2, .max_surge = 0});
    shell.ready(103);
    EXPECT_EQ(shell.supervisor.workers().size(), 3U);
    shell.exit(101, 0);
    EXPECT_EQ(shell.supervisor.workers().size(), 3U);
    shell.ready(104);
    shell.exit(102, 0);
    EXPECT_FALSE(shell.supervisor.rolling());
}

TEST(Reload, MaxUnavailableLetsOldOnesGoFirst) {
    Shell shell = running(4);
    shell.reload({.workers = 4, .max_surge = 0, .max_unavailable = 2});
    shell.kills();
    shell.ready(105);
    EXPECT_EQ(shell.kills(), (Kills{{101, SIGTERM}, {102, SIGTERM}, {103, SIGTERM}}));
    EXPECT_EQ(shell.supervisor.workers().serving(), 2U);
}

TEST(Reload, ACanaryThatFailsLeavesTheOldGenerationServing) {
    for (int status : {3 * kCode, 4 * kCode, kCode, 0, SIGSEGV, SIGKILL}) {
        Shell shell = running(2);
        shell.reload({.workers = 5, .timeout_ms = 9'000});
        shell.done.clear();
        shell.exit(103, status);
        EXPECT_TRUE(shell.said(kError, "The reload failed: the new worker (pid:103)"));
        EXPECT_TRUE(shell.said(kError, "2 workers of the old generation"));
        EXPECT_EQ(shell.count(ActionKind::kRollBack), 1);
        EXPECT_EQ(shell.count(ActionKind::kDeath), 1);
        EXPECT_EQ(shell.count(ActionKind::kChildExit), 1);
        EXPECT_EQ(shell.last(ActionKind::kWorkersChanged)->count, 2U);
        EXPECT_TRUE(shell.supervisor.reload_failed());
        EXPECT_EQ(shell.supervisor.generation(), 1U);
        shell.done.clear();
        for (int i = 0; i < 20; ++i) {
            shell.pass(10'000);
            shell.beat_all();
        }
        EXPECT_EQ(shell.supervisor.phase(), Phase::kRunning);
        EXPECT_TRUE(shell.kills().empty());
        EXPECT_EQ(shell.next_pid, 104);  // no further canary
    }
}

TEST(Reload, TheNextOneMayBeGood) {
    Shell shell = running(1);
    shell.reload({.workers = 1});
    shell.exit(102, 3 * kCode);
    shell.reload({.workers = 1});
    EXPECT_EQ(shell.supervisor.generation(), 3U);
    shell.ready(103);
    EXPECT_FALSE(shell.supervisor.reload_failed());
    EXPECT_EQ(shell.count(ActionKind::kCommit), 1);
}

TEST(Reload, ACanaryThatIsNotReadyInTimeFails) {
    Shell shell = running(1);
    shell.reload({.workers = 1, .timeout_ms = 5'000});
    shell.kills();
    for (int i = 0; i < 6; ++i) {
        shell.pass(1'000);
        shell.beat_all();
    }
    EXPECT_EQ(shell.kills(), (Kills{{102, SIGABRT}}));
    EXPECT_EQ(shell.next_pid, 103);  // it is tried once
    shell.exit(102, SIGABRT);
    EXPECT_TRUE(shell.said(kError, "did not become ready in time"));
    EXPECT_EQ(shell.count(ActionKind::kRollBack), 1);
}

TEST(Reload, ACanaryThatCannotBeForkedFails) {
    Shell shell = running(1);
    shell.fork_works = false;
    shell.reload({.workers = 1});
    EXPECT_TRUE(shell.said(kError, "The reload failed: cannot start a worker: no memory"));
    EXPECT_EQ(shell.count(ActionKind::kRollBack), 1);
    shell.fork_works = true;
    shell.pass(5'000);
    EXPECT_EQ(shell.next_pid, 102);
}

TEST(Reload, AfterAFailureTheDeadAreReplacedWithBackOff) {
    Shell shell = running(2);
    shell.reload({.workers = 2});
    shell.exit(103, 3 * kCode);
    shell.exit(101, SIGKILL);
    EXPECT_EQ(shell.next_pid, 105);
    shell.exit(104, 3 * kCode);
    EXPECT_EQ(shell.next_pid, 105);
    shell.pass(100);
    EXPECT_EQ(shell.next_pid, 106);
    EXPECT_EQ(shell.supervisor.phase(), Phase::kRunning);
    EXPECT_EQ(shell.count(ActionKind::kRollBack), 1);
}

TEST(Reload, OldWorkersThatDieDuringTheTrialAreReplaced) {
    Shell shell = running(2);
    shell.reload({.workers = 2});
    shell.exit(101, SIGKILL);
    EXPECT_EQ(shell.next_pid, 104);  // the canary takes the place
    shell.exit(102, SIGKILL);
    EXPECT_EQ(shell.next_pid, 105);
    shell.exit(103, kCode);
    EXPECT_EQ(shell.count(ActionKind::kRollBack), 1);
    EXPECT_EQ(shell.supervisor.workers().fresh(shell.supervisor.generation()), 2U);
    EXPECT_EQ(shell.supervisor.phase(), Phase::kRunning);
}

TEST(Reload, AHupDuringTheTrialSupersedesTheCanary) {
    Shell shell = running(2);
    shell.reload({.workers = 2});
    shell.kills();
    shell.reload({.workers = 2});
    EXPECT_EQ(shell.kills(), (Kills{{103, SIGTERM}}));
    EXPECT_EQ(shell.next_pid, 105);
    shell.exit(103, 3 * kCode);
    EXPECT_TRUE(shell.supervisor.on_trial());  // nobody waits for that one any more
    shell.exit(104, 3 * kCode);
    EXPECT_EQ(shell.supervisor.generation(), 1U);
    EXPECT_EQ(shell.count(ActionKind::kRollBack), 1);
}

// C code in an import that holds the GIL hears no TERM. With one worker its process would be the
// second of two that may be, and the next canary could not come before graceful_timeout.
TEST(Reload, ASupersededCanaryThatDoesNotLeaveIsKilledSoon) {
    Shell shell = running(1, {.graceful_timeout_ms = 30'000});
    shell.reload({.workers = 1});
    shell.reload({.workers = 1});
    EXPECT_EQ(shell.kills(), (Kills{{102, SIGTERM}}));
    EXPECT_EQ(shell.next_pid, 103);
    shell.pass(Supervisor::kUnservedGraceMs - 1);
    EXPECT_TRUE(shell.kills().empty());
    shell.pass(1);
    EXPECT_EQ(shell.kills(), (Kills{{102, SIGKILL}}));
    shell.exit(102, SIGKILL);
    EXPECT_EQ(shell.next_pid, 104);
    shell.ready(103);
    EXPECT_EQ(shell.supervisor.generation(), 3U);
    EXPECT_FALSE(shell.supervisor.reload_failed());
}

TEST(Reload, ASupersededCanaryWhosePidComesLateIsKilledSoonToo) {
    Shell shell = running(1, {.graceful_timeout_ms = 30'000});
    shell.fork_later = true;
    shell.reload({.workers = 1});
    shell.reload({.workers = 1});
    EXPECT_TRUE(shell.kills().empty());
    shell.fork_later = false;
    shell.give({.kind = EventKind::kForked, .pid = 102, .slot = 1});
    EXPECT_EQ(shell.kills(), (Kills{{102, SIGTERM}}));
    shell.pass(Supervisor::kUnservedGraceMs);
    EXPECT_EQ(shell.kills(), (Kills{{102, SIGKILL}}));
}

// It became ready just before the TERM: there may be requests that it has accepted.
TEST(Reload, ASupersededCanaryThatServesAfterAllHasItsGrace) {
    Shell shell = running(1, {.graceful_timeout_ms = 30'000});
    shell.reload({.workers = 1});
    shell.reload({.workers = 1});
    shell.ready(102);
    shell.kills();
    shell.pass(29'000);
    EXPECT_TRUE(shell.kills().empty());
    shell.pass(1'000);
    EXPECT_EQ(shell.kills(), (Kills{{102, SIGKILL}}));
}

TEST(Reload, AStopLeavesACanaryItsGrace) {
    Shell shell = running(1, {.graceful_timeout_ms = 30'000});
    shell.reload({.workers = 1});
    shell.signal(SIGTERM);
    shell.kills();
    shell.pass(29'000);
    EXPECT_TRUE(shell.kills().empty());
}

TEST(Reload, AHupInTheMiddleOfARolloutKeepsWhatServes) {
    Shell shell = running(2, {.graceful_timeout_ms = 1'000});
    shell.reload({.workers = 2});
    shell.ready(103);
    shell.kills();
    shell.reload({.workers = 2});
    EXPECT_EQ(shell.kills(), (Kills{{104, SIGTERM}}));  // still booting, and too many
    shell.exit(104, 0);
    shell.exit(101, 0);
    EXPECT_TRUE(shell.supervisor.on_trial());
    EXPECT_EQ(shell.supervisor.workers().serving(), 2U);
    shell.ready(105);
    EXPECT_EQ(shell.kills(), (Kills{{102, SIGTERM}}));
}

TEST(Reload, AReloadThatIsRefusedDuringATrialLetsItGoOn) {
    Shell shell = running(1);
    shell.reload({.workers = 1});
    shell.signal(SIGHUP);
    shell.board[shell.pids[102]] = {.slot = shell.pids[102], .beat_ms = shell.now, .ready = true};
    shell.tick();
    EXPECT_EQ(shell.count(ActionKind::kCommit), 0);  // which configuration would that be?
    shell.give({.kind = EventKind::kReloadFailed});
    EXPECT_EQ(shell.count(ActionKind::kCommit), 1);
    EXPECT_EQ(shell.supervisor.generation(), 2U);
}

TEST(Reload, ACanaryThatEndsWhileTheConfigurationIsReadIsTriedAgain) {
    Shell shell = running(1);
    shell.done.clear();
    shell.reload({.workers = 1});
    shell.signal(SIGHUP);
    shell.exit(102, kCode);
    EXPECT_EQ(shell.next_pid, 103);
    shell.give({.kind = EventKind::kReloadFailed});
    EXPECT_EQ(shell.next_pid, 104);
    EXPECT_EQ(shell.count(ActionKind::kRollBack), 0);
    EXPECT_EQ(shell.count(ActionKind::kReady), 0);  // of what, is open yet
}

TEST(Reload, TheNumberChangesOnlyOnceTheCanaryServes) {
    Shell shell = running(2);
    shell.reload({.workers = 4});
    EXPECT_EQ(shell.supervisor.target(), 2U);
    EXPECT_EQ(shell.supervisor.wanted(), 4U);
    shell.done.clear();
    shell.signal(SIGTTIN);
    EXPECT_EQ(shell.last(ActionKind::kWorkersChanged)->count, 5U);
    EXPECT_EQ(shell.last(ActionKind::kWorkersChanged)->previous, 4U);
    EXPECT_EQ(shell.supervisor.target(), 3U);
    shell.signal(SIGTTOU);
    shell.signal(SIGTTOU);
    EXPECT_EQ(shell.supervisor.target(), 1U);
    EXPECT_EQ(shell.kills(), (Kills{{101, SIGTERM}}));  // asked for by hand
    shell.ready(103);
    EXPECT_EQ(shell.supervisor.target(), 3U);
    EXPECT_EQ(shell.supervisor.workers().fresh(2), 3U);
}

TEST(Reload, NobodyServingMeansNoTrial) {
    Shell shell({.workers = 2});
    shell.start();
    shell.reload({.workers = 3});
    EXPECT_FALSE(shell.supervisor.on_trial());
    EXPECT_EQ(shell.supervisor.workers().fresh(2), 3U);
}

TEST(Reload, NoWorkersWantedNeedsNoCanary) {
    Shell shell = running(2);
    shell.reload({.workers = 0});
    shell.tick();
    EXPECT_EQ(shell.kills(), (Kills{{101, SIGTERM}, {102, SIGTERM}}));
    EXPECT_EQ(shell.next_pid, 103);
}

TEST(Reload, AStopDuringTheTrialStopsAll) {
    Shell shell = running(1);
    shell.reload({.workers = 1});
    shell.kills();
    shell.signal(SIGTERM);
    EXPECT_EQ(shell.kills(), (Kills{{101, SIGTERM}, {102, SIGTERM}}));
    shell.exit(102, 0);
    shell.exit(101, 0);
    EXPECT_EQ(shell.last(ActionKind::kHalt)->number, 0);
    EXPECT_EQ(shell.count(ActionKind::kRollBack), 0);
}

TEST(Reload, ABrokenConfigurationChangesNothing) {
    Shell shell = running(2);
    shell.signal(SIGHUP);
    shell.kills();
    shell.give({.kind = EventKind::kReloadFailed});
    EXPECT_EQ(shell.count(ActionKind::kReady), 1);
    EXPECT_EQ(shell.count(ActionKind::kFork), 0);
    EXPECT_EQ(shell.supervisor.generation(), 1U);
    EXPECT_TRUE(shell.kills().empty());
}

TEST(Reload, ASecondHupMeanwhileIsDoneAfterwards) {
    for (EventKind answer : {EventKind::kReloaded, EventKind::kReloadFailed}) {
        Shell shell = running(1);
        shell.signal(SIGHUP);
        shell.signal(SIGHUP);
        shell.signal(SIGHUP);
        EXPECT_EQ(shell.count(ActionKind::kReload), 1);
        shell.give({.kind = answer, .options = {.workers = 1}});
        EXPECT_EQ(shell.count(ActionKind::kReload), 2);
        shell.give({.kind = answer, .options = {.workers = 1}});
        EXPECT_EQ(shell.count(ActionKind::kReload), 2);
    }
}

TEST(Reload, AnAnswerAfterAStopIsIgnored) {
    for (EventKind answer : {EventKind::kReloaded, EventKind::kReloadFailed}) {
        Shell shell = running(1);
        shell.signal(SIGHUP);
        shell.signal(SIGTERM);
        shell.give({.kind = answer, .options = {.workers = 9}});
        EXPECT_EQ(shell.supervisor.phase(), Phase::kStopping);
        EXPECT_EQ(shell.supervisor.generation(), 1U);
    }
}

TEST(Reload, ItSaysHowFarItIsAndHowLongItTook) {
    Shell shell = running(4, {.max_surge = 1});
    shell.pass(10'000);
    shell.beat_all();
    shell.reload({.workers = 4, .max_surge = 1});
    for (int pid = 105; pid < 109; ++pid) {
        shell.pass(1'500);
        shell.done.clear();
        shell.ready(pid);
        const std::string done = std::to_string(pid - 104);
        EXPECT_EQ(shell.said(kInfo, "Reload: " + done + " of 4 workers replaced"), pid != 108);
        shell.exit(pid - 4, 0);
    }
    EXPECT_TRUE(shell.said(kInfo, "Reload: all 4 workers replaced in 6.0 s"));
    shell.done.clear();
    shell.pass(1'000);
    EXPECT_FALSE(shell.said(kInfo, "Reload"));
}

TEST(Reload, ManyThatBecomeReadyAtOnceAreOneLine) {
    Shell shell = running(8);
    shell.reload({.workers = 8});
    shell.done.clear();
    for (int pid = 109; pid < 116; ++pid) shell.ready(pid);
    EXPECT_TRUE(shell.said(kInfo, "Reload: 1 of 8 workers replaced"));
    EXPECT_FALSE(shell.said(kInfo, "Reload: 2 of 8"));
    shell.ready(116);
    EXPECT_TRUE(shell.said(kInfo, "Reload: all 8 workers replaced in 0.0 s"));
}

TEST(Reload, OneThatFailsReportsNoProgress) {
    Shell shell = running(2);
    shell.reload({.workers = 2});
    shell.exit(103, 3 * kCode);
    shell.pass(5'000);
    EXPECT_FALSE(shell.said(kInfo, "Reload:"));
}

}  // namespace
}  // namespace mono::supervisor
