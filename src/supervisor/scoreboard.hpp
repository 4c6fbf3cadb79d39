// The scoreboard: what workers tell the master without a message. A layout over shared memory
// that somebody else maps (os/shm) and keeps mapped for as long as the processes live.
// Who writes: a worker its own slot only (one slot a worker, kept from fork to reaping); the
// master clears a slot before it forks into it and after it has reaped. Who reads: anybody.
// Invariant: every field is a lock-free atomic, so a worker killed anywhere leaves it readable.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace mono::supervisor {

// 128 bytes: two cache lines, as the adjacent-line prefetcher pairs them.
struct alignas(128) Slot {
    std::atomic<int64_t> beat_ms;  // monotonic; 0: never
    std::atomic<uint32_t> ready;   // 1: the application is loaded and the worker serves
    std::atomic<uint32_t> in_flight;
    std::atomic<uint64_t> accepted;  // requests; accepted = answered + refused + aborted
    std::atomic<uint64_t> answered;
    std::atomic<uint64_t> refused;
    std::atomic<uint64_t> aborted;
};
static_assert(std::atomic<uint64_t>::is_always_lock_free);
static_assert(sizeof(Slot) == 128);

struct Totals {
    uint64_t accepted = 0;
    uint64_t answered = 0;
    uint64_t refused = 0;
    uint64_t aborted = 0;
};

class Scoreboard {
  public:
    static constexpr size_t bytes(uint32_t slots) { return (slots + size_t{1}) * sizeof(Slot); }

    // memory: zeroed, aligned to Slot, of bytes(slots); the last slot holds the dead workers' sums.
    Scoreboard(void* memory, uint32_t slots) : slots_(static_cast<Slot*>(memory)), count_(slots) {}

    uint32_t size() const { return count_; }
    Slot& slot(uint32_t index) const { return slots_[index]; }

    // Adds the slot's counters to the sums and empties it for the next worker.
    void clear(uint32_t index) const;
    // Counters of the living and the dead together.
    Totals totals() const;

  private:
    Slot* slots_;
    uint32_t count_;
};

}  // namespace mono::supervisor
