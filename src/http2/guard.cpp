#include "http2/guard.hpp"

namespace mono::http2 {

void Guard::at(int64_t now_ms) {
    if (now_ms < period_ends_ms_) return;
    period_ends_ms_ = now_ms + limits_->period_ms;
    updates_earned_ = 0;
    counts_.fill(0);
}

// 0: without bound.
uint64_t Guard::bound(Fault flood) const {
    switch (flood) {
        case Fault::kResetFlood:
            return limits_->resets_max;
        case Fault::kPingFlood:
            return limits_->pings_max;
        case Fault::kSettingsFlood:
            return limits_->settings_max;
        case Fault::kEmptyFrameFlood:
            return limits_->empty_frames_max;
        case Fault::kPriorityFlood:
            return limits_->priorities_max;
        case Fault::kWindowUpdateFlood:
            if (limits_->window_updates_max == 0) return 0;
            return limits_->window_updates_max + updates_earned_;
        case Fault::kContinuationFlood:
            return limits_->continuations_max;
        case Fault::kNone:
        case Fault::kPreface:
        case Fault::kProtocol:
        case Fault::kStreamEnded:
        case Fault::kStreamOrder:
        case Fault::kPriority:
        case Fault::kHeaderBomb:
        case Fault::kOutputFlood:
        case Fault::kInternal:
        case Fault::kCount:
            break;
    }
    return 0;
}

bool Guard::permits(Fault flood) {
    const uint64_t most = bound(flood);
    uint32_t& count =
        flood == Fault::kContinuationFlood ? continuations_ : counts_[static_cast<size_t>(flood)];
    return most == 0 || ++count <= most;
}

}  // namespace mono::http2
