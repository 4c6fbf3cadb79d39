// The one system call that base is allowed: the monotonic clock, in milliseconds and microseconds.
#pragma once

#include <cstdint>
#include <ctime>

namespace mono::base {

inline int64_t monotonic_us() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1'000;
}

inline int64_t monotonic_ms() { return monotonic_us() / 1'000; }

}  // namespace mono::base
