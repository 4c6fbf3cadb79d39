#include "supervisor/phases.hpp"

#include <gtest/gtest.h>

#include <string>

namespace mono::supervisor {
namespace {

TEST(Phases, RunsReloadsStops) {
    EXPECT_EQ(next(Phase::kIdle, PhaseInput::kStart), Phase::kRunning);
    EXPECT_EQ(next(Phase::kRunning, PhaseInput::kReload), Phase::kReloading);
    EXPECT_EQ(next(Phase::kReloading, PhaseInput::kAnswer), Phase::kRunning);
    EXPECT_EQ(next(Phase::kReloading, PhaseInput::kStop), Phase::kStopping);
    EXPECT_EQ(next(Phase::kStopping, PhaseInput::kQuit), Phase::kQuitting);
    EXPECT_EQ(next(Phase::kQuitting, PhaseInput::kEmptied), Phase::kHalted);
}

TEST(Phases, NothingLeavesHaltedAndNothingGoesBack) {
    for (int input = 0; input < 6; ++input) {
        EXPECT_EQ(next(Phase::kHalted, static_cast<PhaseInput>(input)), Phase::kRefused);
        EXPECT_EQ(next(Phase::kRefused, static_cast<PhaseInput>(input)), Phase::kRefused);
    }
    EXPECT_EQ(next(Phase::kStopping, PhaseInput::kReload), Phase::kRefused);
    EXPECT_EQ(next(Phase::kStopping, PhaseInput::kStop), Phase::kRefused);
    EXPECT_EQ(next(Phase::kRunning, PhaseInput::kEmptied), Phase::kRefused);
    EXPECT_EQ(next(Phase::kIdle, PhaseInput::kStop), Phase::kRefused);
}

TEST(States, OnlyAPidCanBeSignalled) {
    EXPECT_EQ(next(State::kForking, StateInput::kForked), State::kBooting);
    for (StateInput input :
         {StateInput::kReady, StateInput::kTerm, StateInput::kAbort, StateInput::kKill}) {
        EXPECT_EQ(next(State::kForking, input), State::kRefused);
    }
}

TEST(States, KilledIsLastAndKillIsSentOnce) {
    EXPECT_EQ(next(State::kAborting, StateInput::kKill), State::kKilled);
    EXPECT_EQ(next(State::kAborting, StateInput::kTerm), State::kRefused);
    for (int input = 0; input < 5; ++input) {
        EXPECT_EQ(next(State::kKilled, static_cast<StateInput>(input)), State::kRefused);
        EXPECT_EQ(next(State::kRefused, static_cast<StateInput>(input)), State::kRefused);
    }
}

TEST(Names, EveryPhaseAndStateHasItsOwn) {
    EXPECT_EQ(name(Phase::kIdle), "idle");
    EXPECT_EQ(name(Phase::kRefused), "refused");
    EXPECT_EQ(name(State::kServing), "serving");
    EXPECT_EQ(name(State::kRefused), "refused");
}

}  // namespace
}  // namespace mono::supervisor
