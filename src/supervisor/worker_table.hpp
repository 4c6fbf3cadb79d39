// The workers of a pool, in order of age, and the slots that they hold. Owned by the pool.
// Invariants: ages rise along the table; a slot belongs to at most one worker, from the request
// to fork until its exit (or failed fork); a pid is known exactly while its exit is awaited.
#pragma once

#include <cstdint>
#include <vector>

#include "supervisor/phases.hpp"

namespace mono::supervisor {

// Why the master ended a worker: for the line that explains the death.
enum class Reason : uint8_t {
    kNone,         // it was not asked to go
    kSurplus,      // the target fell
    kReplaced,     // a newer generation serves
    kTimeout,      // its heartbeat stopped
    kBootTimeout,  // it never became ready
    kMemory,       // it took more memory than it may
    kStuck,        // it holds requests past request_kill_timeout
    kOverstayed,   // it left by itself, and was not gone in time
    kStop,         // the server stops
};

// What it takes, as far as it was measured.
struct Memory {
    int64_t bytes = 0;
    uint32_t over_limit = 0;  // looks above the limit, running
};

struct Worker {
    uint32_t slot = 0;
    uint32_t age = 0;         // 1, 2, 3 ... never reused
    uint32_t generation = 0;  // of the configuration it was started with
    uint32_t round = 0;       // of the back-off (backoff.hpp)
    int pid = 0;
    State state = State::kForking;
    bool doomed = false;   // to be sent TERM as soon as its pid is known
    bool overdue = false;  // had to be killed, its grace being over
    bool over = false;     // it has said that it beats no more
    Reason reason = Reason::kNone;
    Reason marked = Reason::kNone;  // to be retired for, once its replacement serves
    int64_t forked_ms = 0;
    int64_t ready_ms = 0;    // 0: never
    int64_t beat_ms = 0;     // 0: never
    int64_t suspect_ms = 0;  // since when the heartbeat is missing; 0: it is not
    // When it was seen to go of its own accord (max_requests, reload, a TERM of others); 0: it has
    // not.
    int64_t left_ms = 0;
    int64_t deadline_ms = 0;  // Retiring, Aborting: when KILL follows
    Memory memory;
    uint32_t in_flight = 0;
    uint32_t stuck = 0;

    // Counts towards the number of workers wanted: not on its way out.
    bool active() const {
        return !doomed &&
               (state == State::kForking || state == State::kBooting || state == State::kServing);
    }
    // Not to be replaced where this is the generation in force.
    bool fresh(uint32_t in_force) const {
        return generation == in_force && marked == Reason::kNone;
    }
    // Its end was decided by the master for no fault of its own.
    bool asked() const {
        return reason != Reason::kNone && reason != Reason::kTimeout &&
               reason != Reason::kBootTimeout;
    }
    // It was sent ABRT: its code is that of its own handler, or of the hook worker_abort.
    bool aborted() const {
        return reason == Reason::kTimeout || reason == Reason::kBootTimeout ||
               reason == Reason::kStuck;
    }
    bool left() const { return left_ms != 0; }
    bool ending() const { return state == State::kAborting || state == State::kKilled; }
};

class WorkerTable {
  public:
    // At most as many processes at once as it has slots of the scoreboard, from `first` on.
    explicit WorkerTable(uint32_t slots, uint32_t first = 0) : first_(first), used_(slots, 0) {}

    // nullptr when every slot is taken. The pointer is valid until the next add or remove.
    Worker* add(uint32_t generation);
    void remove(uint32_t slot);
    Worker* by_pid(int pid);
    Worker* by_slot(uint32_t slot);

    std::vector<Worker>& all() { return workers_; }
    const std::vector<Worker>& all() const { return workers_; }
    uint32_t size() const { return static_cast<uint32_t>(workers_.size()); }
    uint32_t last_age() const { return last_age_; }

    // active() workers: all of them; of this generation and not marked; the others, which are to
    // be replaced.
    uint32_t active() const;
    uint32_t fresh(uint32_t generation) const;
    uint32_t outdated(uint32_t generation) const { return active() - fresh(generation); }
    // Whether a worker of this generation exists, in whatever state.
    bool any(uint32_t generation) const;
    // Serving workers of any generation, and of one.
    uint32_t serving() const;
    uint32_t serving(uint32_t generation) const;
    // Workers killed or aborted by the master, not yet reaped: their memory is still held.
    uint32_t ending() const;

  private:
    uint32_t first_;
    std::vector<Worker> workers_;
    std::vector<uint8_t> used_;
    uint32_t last_age_ = 0;
};

}  // namespace mono::supervisor
