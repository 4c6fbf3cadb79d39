#include "supervisor/ending.hpp"

#include <gtest/gtest.h>

#include <csignal>

namespace mono::supervisor {
namespace {

struct Ending : testing::Test {
    Ending() {
        step.now_ms = 1'000;
        step.phase = Phase::kRunning;
        step.out = &actions;
        worker.pid = 7;
        worker.state = State::kServing;
        worker.ready_ms = 500;
    }
    Options options{.graceful_timeout_ms = 30'000};
    Actions actions;
    Step step;
    Worker worker;
};

TEST_F(Ending, RetiringIsTermAndADeadline) {
    retire(worker, Reason::kSurplus, options, step);
    ASSERT_EQ(actions.size(), 1U);
    EXPECT_EQ(actions[0].number, SIGTERM);
    EXPECT_EQ(worker.state, State::kRetiring);
    EXPECT_EQ(worker.deadline_ms, 31'000);
    stop_worker(worker, SIGQUIT, options, step);
    EXPECT_EQ(worker.deadline_ms, 31'000) << "told again, it has no more time";
}

TEST_F(Ending, WhoIsNotForkedYetIsToldLater) {
    worker.state = State::kForking;
    retire(worker, Reason::kSurplus, options, step);
    EXPECT_TRUE(worker.doomed);
    EXPECT_TRUE(actions.empty());
}

TEST_F(Ending, WhoNeverServedHasLittleTime) {
    worker.ready_ms = 0;
    EXPECT_EQ(grace_ms(worker, options), Timing::kUnservedGraceMs);
    worker.reason = Reason::kStop;
    EXPECT_EQ(grace_ms(worker, options), 30'000);
}

TEST_F(Ending, KillIsTheLastThing) {
    kill_worker(worker, "did not stop in time", step);
    kill_worker(worker, "did not stop in time", step);
    ASSERT_EQ(actions.size(), 2U) << "a line and a signal, once";
    EXPECT_EQ(actions[0].text, "Worker (pid:7) did not stop in time and is killed");
    EXPECT_EQ(actions[1].number, SIGKILL);
}

TEST_F(Ending, AbortIsFollowedByADeadline) {
    abort_worker(worker, Reason::kTimeout, kCritical, "WORKER TIMEOUT (pid:7)", step);
    EXPECT_EQ(worker.state, State::kAborting);
    EXPECT_EQ(worker.deadline_ms, 1'000 + Timing::kAbortGraceMs);
    EXPECT_EQ(actions.back().number, SIGABRT);
}

}  // namespace
}  // namespace mono::supervisor
