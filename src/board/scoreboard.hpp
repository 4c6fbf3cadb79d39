// The scoreboard: what the processes of a server tell each other without a message. A layout over
// shared memory that somebody else maps (os/shm) and keeps mapped for as long as they live.
// Who writes: a worker its own slot only (one slot a worker, kept from fork to reaping); the
// master the header, `leaving`, and a slot before it forks into it and after it has reaped. Who
// reads: anybody. Invariant: every shared field is a lock-free atomic, so a worker killed anywhere
// leaves it readable; flights are explained in flight.hpp.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "board/flight.hpp"

namespace mono::board {

constexpr uint32_t kFlightsMax = 256;  // recorded at once by one worker; more are only counted

enum class Service : uint32_t {
    kOpen,       // it boots, or serves
    kWithdrawn,  // it takes no more requests: its successor may start
    kOver,       // it waits for nothing but threads of the application, and its heart is still
};

// Every request that was taken in ends as one of the three others.
struct Totals {
    uint64_t accepted = 0;  // requests: a whole head, or bytes that had to be refused
    uint64_t answered = 0;  // the answer has left whole
    uint64_t refused = 0;   // by the server itself: bad requests, 503, 504
    uint64_t aborted = 0;   // the client left, the application broke off, or the worker died
};

struct Ledger {
    std::atomic<uint64_t> accepted;
    std::atomic<uint64_t> answered;
    std::atomic<uint64_t> refused;
    std::atomic<uint64_t> aborted;
};

struct alignas(128) Slot {
    std::atomic<int64_t> beat_ms;        // monotonic; 0: never
    std::atomic<uint32_t> ready;         // 1: the application is loaded and the worker serves
    std::atomic<uint32_t> slots;         // requests that the worker runs at once
    std::atomic<uint32_t> busy;          // of them, in use or promised to requests that wait here
    std::atomic<uint32_t> open;          // 1: takes connections and requests from siblings
    std::atomic<uint32_t> in_flight;     // requests taken in and not yet ended
    std::atomic<uint32_t> overdue;       // of them, past request_timeout
    std::atomic<uint32_t> stuck;         // of them, past request_kill_timeout
    std::atomic<uint32_t> flights_used;  // no record from here on was ever used
    std::atomic<uint32_t> leaving;       // 1: the master has told the worker to go
    std::atomic<Service> service;        // of the worker, by its own word
    std::atomic<uint32_t> told_by;  // pid of who sent the worker its last deadly signal; 0: nobody
    Ledger ledger;
    alignas(128) Flight flights[kFlightsMax];
};
static_assert(std::atomic<uint64_t>::is_always_lock_free);

// Of the whole server; written by the master, but for the last.
struct alignas(128) Header {
    std::atomic<uint32_t> stopping;    // 1: the listeners are closed for good
    std::atomic<uint32_t> slots_used;  // no slot from here on was ever used
    // Requests between workers (engine/relay). A hint: a worker that is killed may leave it wrong.
    std::atomic<int32_t> parcels;
};

class Scoreboard {
  public:
    static constexpr size_t bytes(uint32_t slots) {
        return sizeof(Header) + sizeof(Ledger) * 2 + slots * sizeof(Slot) + alignof(Slot);
    }

    // memory: zeroed, aligned to Slot, of bytes(slots).
    Scoreboard(void* memory, uint32_t slots);

    uint32_t size() const { return count_; }
    Slot& slot(uint32_t index) const { return slots_[index]; }
    Header& header() const { return *header_; }

    // Empties the slot for the next worker. Its counters go to the dead workers'; what was in
    // flight in it counts as aborted.
    void clear(uint32_t index) const;
    // Counters of the living and the dead together.
    Totals totals() const;
    // How many requests workers other than `mine` could take at once.
    uint32_t free_slots(uint32_t mine) const;
    // Whether workers other than `mine` take requests from siblings, now or later.
    bool has_open_sibling(uint32_t mine) const;
    // Whether requests wait in workers other than `mine`.
    bool waiting(uint32_t mine) const;

  private:
    // Slots below were used at some time; the others' pages are not touched.
    uint32_t used() const;

    Header* header_;
    Ledger* dead_;
    Slot* slots_;
    uint32_t count_;
};

}  // namespace mono::board
