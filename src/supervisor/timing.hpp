// How long the supervisor waits for what. Milliseconds; constants only.
#pragma once

#include <cstdint>
#include <limits>

namespace mono::supervisor {

struct Timing {
    static constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
    // From ABRT to KILL.
    static constexpr int64_t kAbortGraceMs = 1'000;
    // From TERM to KILL for a worker that has never served and is not wanted any more.
    static constexpr int64_t kUnservedGraceMs = 1'000;
    // A worker that leaves by itself keeps its own time: this is for what follows.
    static constexpr int64_t kLeftExtraMs = 2'000;
    // How long its successor waits for its end.
    static constexpr int64_t kLeftPatienceMs = 300;
    // INT or QUIT while stopping: what is left of the wait.
    static constexpr int64_t kShortenedMs = 2'000;
    // A missing heartbeat is looked at twice, so that a worker woken together with the master
    // (a paused machine) has time to beat.
    static constexpr int64_t kConfirmMs = 500;
    // Waking this much later than asked means that the master itself did not run.
    static constexpr int64_t kStallMs = 2'000;
    // While workers boot, look this often even if their call should get lost; while they end,
    // so that a paused machine is noticed before their time has run out.
    static constexpr int64_t kPollMs = 1'000;
    // After KILL was sent to all: how long the exits are awaited before the master leaves anyway.
    static constexpr int64_t kGiveUpMs = 5'000;
    // Lines that tell how far a reload is are at least so far apart.
    static constexpr int64_t kProgressMs = 1'000;
    // How often memory is looked at, and how often running it has to be too much.
    static constexpr int64_t kMeasureMs = 5'000;
    static constexpr uint32_t kMemorySamples = 3;
};

}  // namespace mono::supervisor
