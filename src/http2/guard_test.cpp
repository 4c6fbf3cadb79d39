#include "http2/guard.hpp"

#include <gtest/gtest.h>

namespace mono::http2 {
namespace {

// How many of a kind are permitted before one is not.
unsigned permitted(Guard& guard, Fault flood) {
    unsigned count = 0;
    while (count < 100'000 && guard.permits(flood)) ++count;
    return count;
}

TEST(Guard, EachKindHasItsLimit) {
    const Limits limits;
    Guard guard(limits);
    guard.at(0);
    EXPECT_EQ(permitted(guard, Fault::kResetFlood), 200U);
    EXPECT_EQ(permitted(guard, Fault::kPingFlood), 1000U);
    EXPECT_EQ(permitted(guard, Fault::kSettingsFlood), 100U);
    EXPECT_EQ(permitted(guard, Fault::kEmptyFrameFlood), 1000U);
    EXPECT_EQ(permitted(guard, Fault::kPriorityFlood), 1000U);
    EXPECT_EQ(permitted(guard, Fault::kWindowUpdateFlood), 1000U);
}

TEST(Guard, APeriodForgetsTheLast) {
    const Limits limits;
    Guard guard(limits);
    guard.at(1000);
    EXPECT_EQ(permitted(guard, Fault::kPingFlood), 1000U);
    guard.at(10'999);
    EXPECT_FALSE(guard.permits(Fault::kPingFlood));
    guard.at(11'000);
    EXPECT_EQ(permitted(guard, Fault::kPingFlood), 1000U);
}

TEST(Guard, ZeroTurnsACountOff) {
    Limits limits;
    limits.resets_max = limits.window_updates_max = 0;
    Guard guard(limits);
    EXPECT_EQ(permitted(guard, Fault::kResetFlood), 100'000U);
    EXPECT_EQ(permitted(guard, Fault::kWindowUpdateFlood), 100'000U);
}

TEST(Guard, ContinuationsAreOfOneBlock) {
    Limits limits;
    limits.continuations_max = 3;
    Guard guard(limits);
    guard.begin_block();
    EXPECT_EQ(permitted(guard, Fault::kContinuationFlood), 3U);
    guard.begin_block();
    EXPECT_EQ(permitted(guard, Fault::kContinuationFlood), 3U);
}

TEST(Guard, WhoReadsMayGiveCreditBack) {
    const Limits limits;
    Guard guard(limits);
    guard.at(0);
    for (int frame = 0; frame < 100; ++frame) guard.data_sent();
    EXPECT_EQ(permitted(guard, Fault::kWindowUpdateFlood), 1400U);
}

}  // namespace
}  // namespace mono::http2
