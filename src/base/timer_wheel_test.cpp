#include "base/timer_wheel.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace mono::base {
namespace {

TEST(TimerWheel, FiresAtItsDeadlineAndNotBefore) {
    TimerWheel wheel(1000);
    TimerNode node;
    wheel.arm(node, 1500);
    EXPECT_EQ(wheel.expire(1499), nullptr);
    EXPECT_EQ(wheel.expire(1500 + TimerWheel::kTickMs), &node);
    EXPECT_FALSE(node.queued());
    EXPECT_EQ(wheel.expire(3000), nullptr);
}

TEST(TimerWheel, LaterDeadlineIsLazyEarlierIsNot) {
    TimerWheel wheel(0);
    TimerNode node;
    wheel.arm(node, 500);
    wheel.arm(node, 5000);
    EXPECT_EQ(wheel.expire(4000), nullptr);
    wheel.arm(node, 4200);
    EXPECT_EQ(wheel.expire(4199), nullptr);
    EXPECT_EQ(wheel.expire(4200 + TimerWheel::kTickMs), &node);
}

TEST(TimerWheel, DeadlinesBeyondOneTurnWait) {
    TimerWheel wheel(0);
    TimerNode node;
    wheel.arm(node, 600'000);
    for (int64_t now = 0; now < 600'000; now += 700) ASSERT_EQ(wheel.expire(now), nullptr) << now;
    EXPECT_EQ(wheel.expire(600'064), &node);
}

TEST(TimerWheel, SleepIsNeverLongerThanTheNextDeadlineNeeds) {
    TimerWheel wheel(0);
    EXPECT_EQ(wheel.sleep_ms(0), -1);
    TimerNode node;
    wheel.arm(node, 1000);
    int64_t sleep = wheel.sleep_ms(0);
    EXPECT_GT(sleep, 0);
    EXPECT_LE(sleep, 1000 + TimerWheel::kTickMs);
    wheel.cancel(node);
    EXPECT_EQ(wheel.expire(5000), nullptr);
    EXPECT_EQ(wheel.sleep_ms(5000), -1);
}

// Against a model: every node fires once, never early, late by at most a tick and the step.
TEST(TimerWheel, RandomHistoriesAgreeWithAModel) {
    std::mt19937 random(7);
    TimerWheel wheel(0);
    std::vector<TimerNode> nodes(200);
    std::vector<int64_t> deadline(nodes.size(), -1);
    int64_t now = 0;
    for (int step = 0; step < 20'000; ++step) {
        size_t pick = random() % nodes.size();
        if (random() % 4 == 0) {
            wheel.cancel(nodes[pick]);
            deadline[pick] = -1;
        } else {
            deadline[pick] = now + static_cast<int64_t>(random() % 100'000);
            wheel.arm(nodes[pick], deadline[pick]);
        }
        now += static_cast<int64_t>(random() % 50);
        while (TimerNode* fired = wheel.expire(now)) {
            auto index = static_cast<size_t>(fired - nodes.data());
            ASSERT_GE(deadline[index], 0);
            ASSERT_LE(deadline[index], now);
            deadline[index] = -1;
        }
        for (int64_t due : deadline) ASSERT_TRUE(due < 0 || due > now - 2 * TimerWheel::kTickMs);
    }
}

}  // namespace
}  // namespace mono::base
