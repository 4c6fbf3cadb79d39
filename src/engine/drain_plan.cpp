#include "engine/drain_plan.hpp"

#include <algorithm>

namespace mono::engine {
namespace {

constexpr int64_t kIdleMs = 500;     // for requests that cross our decision to stop
constexpr int64_t kBacklogMs = 100;  // for connections that stand and have not spoken yet
constexpr int64_t kCutAgainMs = 250;

}  // namespace

bool DrainPlan::begin(bool for_good, int64_t now_ms) {
    const Phase wanted = for_good ? Phase::kStopping : Phase::kLeaving;
    if (phase_ >= wanted) return false;
    phase_ = wanted;
    if (for_good) {
        hold_until_ms_ = 0;
        at(DrainStep::kCloseListeners) = now_ms + std::max(kBacklogMs, spans_.accepting);
        schedule(at(DrainStep::kCloseListeners));
    } else {
        schedule(now_ms);
    }
    return true;
}

void DrainPlan::schedule(int64_t accepted_until_ms) {
    at(DrainStep::kHalfCloseIdle) = accepted_until_ms + kIdleMs;
    at(DrainStep::kRefuseWaiting) = accepted_until_ms + spans_.refuse_waiting;
    at(DrainStep::kFarewell) = accepted_until_ms + spans_.farewell;
    at(DrainStep::kCut) = at(DrainStep::kRefuseWaiting) + spans_.farewell;
}

void DrainPlan::hold(int64_t until_ms) {
    if (!told_for_good()) hold_until_ms_ = until_ms;
}

std::optional<DrainStep> DrainPlan::next(int64_t now_ms) {
    for (size_t i = 0; i < kSteps; ++i) {
        if (at_ms_[i] > now_ms) continue;
        const auto step = static_cast<DrainStep>(i);
        at_ms_[i] = step == DrainStep::kCut ? now_ms + kCutAgainMs : kNever;
        farewell_said_ |= step == DrainStep::kFarewell;
        out_of_time_ |= step == DrainStep::kCut;
        return step;
    }
    return std::nullopt;
}

void DrainPlan::note_idle(int64_t now_ms) { at(DrainStep::kHalfCloseIdle) = now_ms + kIdleMs; }

void DrainPlan::done() {
    if (phase_ == Phase::kStopping) phase_ = Phase::kStopped;
}

}  // namespace mono::engine
