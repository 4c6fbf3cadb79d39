#include "engine/drain_plan.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace mono::engine {
namespace {

constexpr DrainSpans kSpans{.accepting = 1'000, .refuse_waiting = 20'000, .farewell = 5'000};

std::vector<DrainStep> steps_until(DrainPlan& plan, int64_t now_ms) {
    std::vector<DrainStep> steps;
    while (std::optional<DrainStep> step = plan.next(now_ms)) steps.push_back(*step);
    return steps;
}

TEST(DrainPlan, NothingIsDueWhileItServes) {
    DrainPlan plan(kSpans);
    EXPECT_FALSE(plan.begun());
    EXPECT_TRUE(plan.accepts());
    EXPECT_TRUE(plan.takes_over());
    EXPECT_EQ(steps_until(plan, INT64_MAX - 1), std::vector<DrainStep>{});
}

TEST(DrainPlan, WhoLeavesAcceptsNobodyAtOnce) {
    DrainPlan plan(kSpans);
    EXPECT_TRUE(plan.begin(false, 100));
    EXPECT_FALSE(plan.begin(false, 200));
    EXPECT_FALSE(plan.accepts());
    EXPECT_FALSE(plan.takes_over());
    EXPECT_EQ(steps_until(plan, 599), std::vector<DrainStep>{});
    EXPECT_EQ(steps_until(plan, 600), std::vector{DrainStep::kHalfCloseIdle});
    EXPECT_EQ(steps_until(plan, 5'100), std::vector{DrainStep::kFarewell});
    EXPECT_TRUE(plan.farewell_said());
    EXPECT_EQ(steps_until(plan, 20'100), std::vector{DrainStep::kRefuseWaiting});
    EXPECT_FALSE(plan.out_of_time());
    EXPECT_EQ(steps_until(plan, 25'100), std::vector{DrainStep::kCut});
    EXPECT_TRUE(plan.out_of_time());
}

TEST(DrainPlan, AStopForGoodGoesOnAccepting) {
    DrainPlan plan(kSpans);
    EXPECT_TRUE(plan.begin(true, 100));
    EXPECT_TRUE(plan.accepts());
    EXPECT_TRUE(plan.takes_over());
    EXPECT_EQ(steps_until(plan, 1'100), std::vector{DrainStep::kCloseListeners});
    EXPECT_FALSE(plan.accepts());
    EXPECT_EQ(steps_until(plan, 1'600), std::vector{DrainStep::kHalfCloseIdle});
}

TEST(DrainPlan, WithoutADelayTheQueueStillGetsAMoment) {
    DrainPlan plan({});
    plan.begin(true, 100);
    EXPECT_EQ(steps_until(plan, 199), std::vector<DrainStep>{});
    EXPECT_EQ(plan.next(200), DrainStep::kCloseListeners);
}

TEST(DrainPlan, LateStepsComeInTheirOrder) {
    DrainPlan plan(kSpans);
    plan.begin(true, 0);
    const std::vector<DrainStep> all = {DrainStep::kCloseListeners, DrainStep::kHalfCloseIdle,
                                        DrainStep::kRefuseWaiting, DrainStep::kFarewell,
                                        DrainStep::kCut};
    EXPECT_EQ(steps_until(plan, 1'000'000), all);
    EXPECT_EQ(steps_until(plan, 1'000'249), std::vector<DrainStep>{});
    EXPECT_EQ(steps_until(plan, 1'000'250), std::vector{DrainStep::kCut}) << "until all has ended";
}

TEST(DrainPlan, AStopForGoodOverrulesALeave) {
    DrainPlan plan(kSpans);
    plan.begin(false, 0);
    plan.hold(60'000);
    EXPECT_TRUE(plan.held(59'999));
    EXPECT_EQ(steps_until(plan, 5'000).size(), 2U);
    EXPECT_TRUE(plan.begin(true, 10'000));
    EXPECT_FALSE(plan.held(10'000));
    plan.hold(60'000);
    EXPECT_FALSE(plan.held(10'000)) << "it is too late to hold it";
    EXPECT_TRUE(plan.accepts());
    EXPECT_TRUE(plan.farewell_said()) << "what was said has been said";
    EXPECT_EQ(steps_until(plan, 11'500).size(), 2U);
}

TEST(DrainPlan, ALeaveAfterAStopIsNoNews) {
    DrainPlan plan(kSpans);
    plan.begin(true, 0);
    EXPECT_FALSE(plan.begin(false, 1));
    EXPECT_TRUE(plan.stopping());
    plan.done();
    EXPECT_FALSE(plan.stopping());
    EXPECT_TRUE(plan.told_for_good());
    EXPECT_FALSE(plan.begin(true, 2));
}

TEST(DrainPlan, LateIdleConnectionsGetTheirMoment) {
    DrainPlan plan(kSpans);
    plan.begin(false, 0);
    EXPECT_EQ(plan.next(500), DrainStep::kHalfCloseIdle);
    plan.note_idle(700);
    EXPECT_EQ(plan.next(1'199), std::nullopt);
    EXPECT_EQ(plan.next(1'200), DrainStep::kHalfCloseIdle);
}

}  // namespace
}  // namespace mono::engine
