#include "supervisor/backoff.hpp"

#include <gtest/gtest.h>

namespace mono::supervisor {
namespace {

TEST(Backoff, DelaysDoubleFromATenthOfASecondToThirty) {
    const int64_t expected[] = {0,    0,    100,   200,   400,   800,  1600,
                                3200, 6400, 12800, 25600, 30000, 30000};
    uint32_t failures = 0;
    for (int64_t delay : expected) EXPECT_EQ(Backoff::delay_ms(failures++), delay);
    EXPECT_EQ(Backoff::delay_ms(1'000'000), 30'000);
}

TEST(Backoff, WorkersThatCrashTogetherAreOneFailure) {
    Backoff backoff;
    EXPECT_TRUE(backoff.fail(0, 0, 1'000));
    EXPECT_FALSE(backoff.fail(0, 0, 1'000));
    EXPECT_FALSE(backoff.fail(0, 0, 1'001));
    EXPECT_EQ(backoff.failures(), 1U);
    EXPECT_TRUE(backoff.open(1'000));
}

TEST(Backoff, AReplacementThatDiesTooIsWaitedFor) {
    Backoff backoff;
    ASSERT_TRUE(backoff.fail(backoff.round(), 0, 1'000));
    ASSERT_TRUE(backoff.fail(backoff.round(), 0, 1'000));
    EXPECT_FALSE(backoff.open(1'099));
    EXPECT_TRUE(backoff.open(1'100));
    ASSERT_TRUE(backoff.fail(backoff.round(), 0, 1'200));
    EXPECT_FALSE(backoff.open(1'399));
    EXPECT_TRUE(backoff.open(1'400));
}

TEST(Backoff, HealthyLifeTakesFailuresBack) {
    Backoff backoff;
    for (int i = 0; i < 10; ++i) ASSERT_TRUE(backoff.fail(backoff.round(), 0, 1'000));
    ASSERT_TRUE(backoff.fail(backoff.round(), 4'000, 100'000));
    EXPECT_EQ(backoff.failures(), 7U);
    ASSERT_TRUE(backoff.fail(backoff.round(), 60'000, 200'000));
    EXPECT_EQ(backoff.failures(), 1U);
    EXPECT_TRUE(backoff.open(200'000));
}

TEST(Backoff, AMinuteWithoutFailureForgetsAll) {
    Backoff backoff;
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(backoff.fail(backoff.round(), 0, 1'000));
    backoff.calm(60'999, true);
    EXPECT_EQ(backoff.failures(), 5U);
    backoff.calm(61'000, false);
    EXPECT_EQ(backoff.failures(), 5U);
    backoff.calm(61'000, true);
    EXPECT_EQ(backoff.failures(), 0U);
}

TEST(Backoff, AFailedForkIsNeverRepeatedAtOnce) {
    Backoff backoff;
    backoff.fork_failed(1'000);
    EXPECT_FALSE(backoff.open(1'099));
    EXPECT_TRUE(backoff.open(1'100));
}

}  // namespace
}  // namespace mono::supervisor
