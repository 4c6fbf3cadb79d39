// When the next worker may be forked: at once after a first death, later and later while the
// replacements die too. Pure; owned by the supervisor; one for the whole server.
// Rounds: workers forked between two counted failures share a round, and a round counts once, so
// eight workers that crash together are one failure. A worker that is older than the last failure
// does not count either: killing healthy workers one by one never slows their replacement.
// Invariant: 0 <= delay <= kDelayMaxMs.
#pragma once

#include <algorithm>
#include <cstdint>

namespace mono::supervisor {

class Backoff {
  public:
    static constexpr int64_t kDelayMaxMs = 30'000;
    static constexpr int64_t kFirstDelayMs = 100;
    // A worker that served this long before it died takes back one earlier failure.
    static constexpr int64_t kForgiveMs = 1'000;
    // Nothing failed for this long: forget all.
    static constexpr int64_t kHealthyMs = 60'000;
    static constexpr uint32_t kFailuresMax = 32;

    uint32_t round() const { return round_; }
    uint32_t failures() const { return failures_; }
    int64_t open_at_ms() const { return open_at_ms_; }
    bool open(int64_t now_ms) const { return now_ms >= open_at_ms_; }

    // A worker of `round` died unasked after serving served_ms. True: it counted.
    bool fail(uint32_t round, int64_t served_ms, int64_t now_ms) {
        if (round != round_) return false;
        const auto forgiven = static_cast<uint32_t>(std::min(served_ms, kHealthyMs) / kForgiveMs);
        failures_ -= std::min(failures_, forgiven);
        count(now_ms, 0);
        return true;
    }

    // fork() itself failed: never retried at once.
    void fork_failed(int64_t now_ms) { count(now_ms, kFirstDelayMs); }

    // Called on every step.
    void calm(int64_t now_ms, bool any_serving) {
        if (failures_ > 0 && any_serving && now_ms - failed_ms_ >= kHealthyMs) reset();
    }

    // A new configuration deserves a new chance.
    void reset() {
        failures_ = 0;
        open_at_ms_ = 0;
    }

    static int64_t delay_ms(uint32_t failures) {
        if (failures < 2) return 0;
        const uint32_t doublings = std::min(failures - 2, 16U);
        return std::min(kFirstDelayMs << doublings, kDelayMaxMs);
    }

  private:
    void count(int64_t now_ms, int64_t delay_min_ms) {
        failures_ = std::min(failures_ + 1, kFailuresMax);
        ++round_;
        failed_ms_ = now_ms;
        open_at_ms_ = now_ms + std::max(delay_ms(failures_), delay_min_ms);
    }

    uint32_t round_ = 0;
    uint32_t failures_ = 0;
    int64_t failed_ms_ = 0;
    int64_t open_at_ms_ = 0;
};

}  // namespace mono::supervisor
