// Guard: counts what a peer may do, but not without end (CVE-2019-9511 to 9518, CVE-2023-44487,
// CVE-2024-27316, CVE-2025-8671). Periods of fixed length: twice a limit at most in any period.
// Owner: one Session. Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "http2/fault.hpp"
#include "http2/limits.hpp"

namespace mono::http2 {

class Guard {
  public:
    explicit Guard(const Limits& limits) : limits_(&limits) {}

    void at(int64_t now_ms);
    // One more of what `flood` would be too many of; false: it is too many.
    [[nodiscard]] bool permits(Fault flood);
    void begin_block() { continuations_ = 0; }
    // A DATA frame was sent, so that its credit may come back.
    void data_sent() { updates_earned_ += kUpdatesPerFrame; }

  private:
    static constexpr uint64_t kUpdatesPerFrame = 4;

    uint64_t bound(Fault flood) const;

    const Limits* limits_;
    int64_t period_ends_ms_ = 0;
    uint64_t updates_earned_ = 0;
    uint32_t continuations_ = 0;
    std::array<uint32_t, static_cast<size_t>(Fault::kCount)> counts_ = {};
};

}  // namespace mono::http2
