#include "supervisor/stop.hpp"

#include <gtest/gtest.h>

#include <csignal>

namespace mono::supervisor {
namespace {

struct Stopping : testing::Test {
    Stopping() {
        step.now_ms = 1'000;
        step.phase = Phase::kRunning;
        step.out = &actions;
        pools.emplace_back(Kind::kWorker, Options{.graceful_timeout_ms = 10'000}, 8U, 0U);
        pools.emplace_back(Kind::kHelper, Options{.graceful_timeout_ms = 60'000}, 8U, 8U);
        for (Pool& pool : pools) {
            Worker* worker = pool.table().add(1);
            worker->pid = 100 + static_cast<int>(worker->slot);
            worker->state = State::kServing;
            worker->ready_ms = 500;
        }
    }
    int sent(int number) const {
        int found = 0;
        for (const Action& action : actions)
            found += action.kind == ActionKind::kKill && action.number == number;
        return found;
    }
    Actions actions;
    Step step;
    Pools pools;
    Stop stop;
};

TEST_F(Stopping, AllAreToldAndHaveOneDeadline) {
    stop.begin(PhaseInput::kStop, 3, "why", pools, step);
    EXPECT_EQ(sent(SIGTERM), 2);
    for (const Pool& pool : pools) EXPECT_EQ(pool.table().all().front().deadline_ms, 11'000);
    stop.go_on(pools, step);
    EXPECT_EQ(step.phase, Phase::kStopping);
    for (Pool& pool : pools) pool.table().remove(pool.table().all().front().slot);
    stop.go_on(pools, step);
    EXPECT_EQ(step.phase, Phase::kHalted);
    EXPECT_EQ(actions.back().number, 3);
    EXPECT_EQ(actions.back().text, "why");
}

TEST_F(Stopping, WhoDoesNotStopIsKilledAndGivenUp) {
    stop.begin(PhaseInput::kStop, 0, "", pools, step);
    step.now_ms = step.stop_deadline_ms;
    stop.go_on(pools, step);
    EXPECT_EQ(sent(SIGKILL), 2);
    EXPECT_EQ(step.phase, Phase::kStopping);
    step.now_ms = step.stop_deadline_ms;
    stop.go_on(pools, step);
    EXPECT_EQ(step.phase, Phase::kHalted);
}

TEST_F(Stopping, ASecondSignalCutsTheWait) {
    stop.begin(PhaseInput::kStop, 0, "", pools, step);
    stop.shorten(SIGINT, pools, step);
    EXPECT_EQ(step.phase, Phase::kQuitting);
    EXPECT_EQ(sent(SIGQUIT), 2);
    EXPECT_EQ(step.stop_deadline_ms, 1'000 + Timing::kShortenedMs);
}

}  // namespace
}  // namespace mono::supervisor
