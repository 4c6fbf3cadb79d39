// Seldom: a line of the error log that peers could make a flood of. Said at once, then again at
// most every ten seconds, with how many were not said. Owner: one engine, under its lock.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

namespace mono::engine {

class Seldom {
  public:
    static constexpr int64_t kPauseMs = 10'000;

    // nullopt: not now. Else what to add to the line: nothing, or how many were left out.
    std::optional<std::string> ask(int64_t now_ms) {
        if (now_ms - said_ms_ < kPauseMs) {
            ++unsaid_;
            return std::nullopt;
        }
        said_ms_ = now_ms;
        const uint64_t more = std::exchange(unsaid_, 0);
        return more == 0 ? "" : " (" + std::to_string(more) + " more since the last such line)";
    }

  private:
    int64_t said_ms_ = INT64_MIN / 2;
    uint64_t unsaid_ = 0;
};

}  // namespace mono::engine
