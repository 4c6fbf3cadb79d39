// Time in tests: a condition is waited for by eventually(); pace() and quiet_for() let time pass
// where that is the subject, and say why. tests/meta/test_sleeps.py finds whoever sleeps otherwise.
// None of them may be needed for a test to pass on a slow machine: too short, they only show less.
#pragma once

#include <chrono>
#include <ctime>
#include <thread>

#include "base/clock.hpp"

namespace mono::base {

constexpr int kPatienceMs = 20'000;  // sanitizers on a busy machine

// True as soon as `holds()` does.
template <class Condition>
bool eventually(Condition holds, int patience_ms = kPatienceMs) {
    const int64_t end_ms = monotonic_ms() + patience_ms;
    while (!holds()) {
        if (monotonic_ms() > end_ms) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
}

// What a thread of the test takes its time for: a slow client, an application. `why` says who.
inline void pace(int ms, [[maybe_unused]] const char* why) {
    std::this_thread::sleep_for(std::chrono::milliseconds(ms));
}

// A span in which something does not happen, as is asserted behind it. `why` says what.
inline void quiet_for(int ms, const char* why) { pace(ms, why); }

// The share of one processor, in percent, that this whole process uses while the span lasts: a
// busy machine makes the span longer, and not the share larger.
inline int busy_percent_for(int ms) {
    const std::clock_t before = std::clock();
    const int64_t begin_ms = monotonic_ms();
    quiet_for(ms, "whoever has nothing to do uses no processor");
    const auto spent_ms = (std::clock() - before) * 1'000 / CLOCKS_PER_SEC;
    return static_cast<int>(spent_ms * 100 / (monotonic_ms() - begin_ms));
}

}  // namespace mono::base
