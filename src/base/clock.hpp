// The one system call that base is allowed: the clock. Monotonic, in milliseconds and microseconds;
// and the wall clock, for what people and other machines read.
#pragma once

#include <cstdint>
#include <ctime>

namespace mono::base {

inline int64_t monotonic_us() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1'000;
}

inline int64_t unix_us() {
    timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1'000;
}

// Up to some milliseconds late, and cheaper.
inline time_t unix_seconds() {
    timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return now.tv_sec;
}

inline int64_t monotonic_ms() { return monotonic_us() / 1'000; }

}  // namespace mono::base
