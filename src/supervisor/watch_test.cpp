#include "supervisor/watch.hpp"

#include <gtest/gtest.h>

namespace mono::supervisor {
namespace {

struct Watching : testing::Test {
    Watching() {
        step.now_ms = 100'000;
        step.phase = Phase::kRunning;
        step.out = &actions;
        worker = table.add(1);
        worker->pid = 7;
        worker->state = State::kBooting;
        worker->forked_ms = 100'000;
    }
    void take(const Sample& sample) { watch.take(sample, false, *worker, options, step); }

    Options options{.timeout_ms = 30'000};
    Actions actions;
    Step step;
    WorkerTable table{4};
    Worker* worker = nullptr;
    Watch watch;
};

TEST_F(Watching, AReadyWorkerServes) {
    take({.ready = true});
    EXPECT_EQ(worker->state, State::kServing);
    EXPECT_TRUE(step.ever_ready);
}

TEST_F(Watching, OneThatWithdrawsRetiresByItself) {
    take({.ready = true});
    take({.ready = true, .withdrawn = true});
    EXPECT_EQ(worker->state, State::kRetiring);
    EXPECT_TRUE(leaves_just_now(*worker, step));
    step.now_ms += Timing::kLeftPatienceMs;
    EXPECT_FALSE(leaves_just_now(*worker, step));
    EXPECT_TRUE(actions.empty()) << "nobody told it";
}

TEST_F(Watching, SilenceIsLookedAtTwice) {
    take({.ready = true});
    step.now_ms += 30'001;
    watch.check_heartbeats(table, options, step);
    EXPECT_TRUE(actions.empty());
    EXPECT_EQ(watch.wake_ms(*worker, options, step), step.now_ms + Timing::kConfirmMs);
    step.now_ms += Timing::kConfirmMs;
    watch.check_heartbeats(table, options, step);
    EXPECT_EQ(worker->reason, Reason::kTimeout);
}

TEST_F(Watching, LostTimeIsGivenBack) {
    worker->deadline_ms = 110'000;
    worker->suspect_ms = 99'000;
    watch.give_back(table, 5'000);
    EXPECT_EQ(worker->deadline_ms, 115'000);
    EXPECT_EQ(worker->suspect_ms, 0);
}

TEST_F(Watching, MemoryIsLookedAtNowAndThen) {
    options.memory_limit_bytes = 1;
    EXPECT_TRUE(watch.memory_due(options, Phase::kRunning, step.now_ms));
    watch.measured(step);
    EXPECT_FALSE(watch.memory_due(options, Phase::kRunning, step.now_ms));
    EXPECT_FALSE(watch.memory_due(options, Phase::kStopping, step.now_ms + 60'000));
}

}  // namespace
}  // namespace mono::supervisor
