// Flight: what is known of one request that a worker has taken in, in shared memory, so that the
// master can tell what a dead or stuck worker was doing (the flight recorder).
// Who writes: the worker that owns the slot, under its engine's lock. Who reads: the master, also
// after the worker was killed anywhere; and the worker's own crash handler.
// Invariants: trivially copyable and free of pointers; a record counts while phase is not kFree,
// and phase is written last when it begins, first when it ends. Text may be cut, never unbounded.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <string_view>

namespace mono::board {

enum class FlightPhase : uint32_t {
    kFree,
    kQueued,      // complete, waits for a free slot of the application
    kRunning,     // the application has it, no byte of the answer has left
    kResponding,  // the head of the answer is on its way
};

// Who tells the error log of a request whose time is over. Written by the worker's engine, and by
// whoever tells: the first to make it kTold.
enum class Story : uint32_t {
    kNone,       // nobody knows of it yet
    kCollected,  // the worker's Python does, and tells soon
    kStuck,      // it has not come to run for a while: the master is to tell
    kTold,
};

// Text of at most Size bytes, without a terminator.
template <size_t Size>
class FlightText {
  public:
    void set(std::string_view text) {
        length_ = static_cast<uint8_t>(std::min(text.size(), Size));
        std::copy_n(text.data(), length_, bytes_);
    }
    std::string_view view() const { return {bytes_, std::min<size_t>(length_, Size)}; }

  private:
    static_assert(Size < 256);
    uint8_t length_;
    char bytes_[Size];
};

struct alignas(128) Flight {
    std::atomic<FlightPhase> phase;
    std::atomic<int32_t> fd;          // of the client's connection, in the worker; -1: it left.
                                      // The crash handler reads it without the engine's lock.
    int64_t began_us;                 // monotonic: the head was complete
    int64_t dispatched_us;            // monotonic: the application got it; 0: not yet
    std::atomic<int64_t> overdue_us;  // monotonic: request_timeout passed; 0: it has not
    std::atomic<Story> story;         // of an overdue request
    FlightText<64> id;
    FlightText<45> client;  // empty: a unix peer
    FlightText<11> method;
    FlightText<95> target;
};
static_assert(sizeof(Flight) == 256);
static_assert(std::atomic<FlightPhase>::is_always_lock_free);

}  // namespace mono::board
