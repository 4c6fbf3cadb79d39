// TimerWheel: deadlines of many connections for the price of a few. Intrusive: arming never
// allocates. Moving a deadline later (what every request does to keep-alive) only stores it: the
// node is put into its new slot when the old one passes.
// Owner: one engine; every call under the engine's lock.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace mono::base {

struct TimerNode {
    TimerNode* previous = nullptr;
    TimerNode* next = nullptr;
    int64_t deadline_ms = 0;
    int64_t queued_tick = 0;

    bool queued() const { return next != nullptr; }
};

class TimerWheel {
  public:
    explicit TimerWheel(int64_t now_ms);
    TimerWheel(const TimerWheel&) = delete;
    TimerWheel& operator=(const TimerWheel&) = delete;

    void arm(TimerNode& node, int64_t deadline_ms);
    void cancel(TimerNode& node);

    // Unlinks a node whose deadline has passed; nullptr when there is none. Call until nullptr.
    TimerNode* expire(int64_t now_ms);

    // How long one may sleep: milliseconds until the next occupied slot, -1 for ever.
    int64_t sleep_ms(int64_t now_ms) const;

    static constexpr int64_t kTickMs = 64;  // deadlines are late by up to one tick

  private:
    static constexpr int64_t kSlots = 1024;  // 65 s; longer deadlines go round again
    static int64_t tick_of(int64_t ms) { return (ms + kTickMs - 1) / kTickMs; }
    void link(TimerNode& node, int64_t tick);

    struct Slot : TimerNode {};
    std::array<Slot, kSlots> slots_;
    std::array<uint64_t, kSlots / 64> occupied_{};  // may be set for a slot that is empty by now
    int64_t current_tick_;
    uint32_t queued_ = 0;
};

}  // namespace mono::base
