// The supervisor: the whole policy of the master process as a pure function of events.
// Owns the pools (pool.hpp), the phase, the rollout of configurations, the stop and the upgrade. No
// system call, no clock, no Python. Called by one thread: the master's
// (src/python/supervisor_type), or a simulation's. The shell performs the returned actions in order
// and reports their results as events; it may do so at once, or after other events: no answer is
// assumed to be immediate. The first pool has the workers that serve requests: signals and hooks
// that change a number change its number, and what is asked below without naming a pool is asked of
// it. Invariants, checked after each step by tests/sim, beside those of a pool:
//  - a signal is only sent to a pid whose exit is still awaited;
//  - a new generation that fails, in whichever pool, leaves the old workers of all alone;
//  - once halted, no action follows; a stop always ends in a halt.
#pragma once

#include <cstdint>
#include <string>

#include "supervisor/event.hpp"
#include "supervisor/pool.hpp"
#include "supervisor/rollout.hpp"
#include "supervisor/step.hpp"
#include "supervisor/stop.hpp"
#include "supervisor/timing.hpp"
#include "supervisor/upgrade.hpp"

namespace mono::supervisor {

class Supervisor : public Timing {
  public:
    // Of the scoreboard, for each pool but the first.
    static constexpr uint32_t kHelperSlots = 16;

    // slots: of the scoreboard. The target of a pool never exceeds half of what it has of them.
    Supervisor(const Options& options, uint32_t slots);

    // Appends what is to be done to out.
    void step(const Event& event, Actions& out);

    // When the next kTick is due, monotonic milliseconds; kNever: only an event wakes us.
    int64_t wake_at_ms() const { return wake_at_ms_; }
    Phase phase() const { return step_.phase; }
    // Of the configuration in force. A reload that is given up gives the former number back.
    uint32_t generation() const { return step_.generation; }
    // A new generation was begun and none of its workers has served yet.
    bool on_trial() const { return step_.on_trial(); }
    // Workers of the generation in force and of others exist side by side.
    bool rolling() const;
    // The last reload failed, and what served before goes on.
    bool reload_failed() const { return rollout_.reload_failed(); }
    // Whether the samples of an event at this time are to tell the memory of serving workers.
    bool memory_due(int64_t now_ms) const;

    const Pools& pools() const { return pools_; }
    uint32_t wanted() const { return first().wanted(); }
    uint32_t target() const { return first().target(); }
    uint32_t surge() const { return first().surge(); }
    const Options& options() const { return first().options(); }
    const WorkerTable& workers() const { return first().table(); }
    const Backoff& backoff() const { return first().backoff(); }

  private:
    const Pool& first() const { return pools_.front(); }
    void dispatch(const Event& event);
    // What every step looks at.
    void notice_stall(int64_t last_ms);
    void take_samples(const Event& event);
    int64_t compute_wake() const;
    // Answers to actions.
    void on_fork_failed(const Event& event);
    void on_exited(int pid, int status);
    void report_death(const Worker& worker, int status, bool fails_reload);
    void on_reloaded(const Event& event);
    void give_up(const std::string& why);
    void change_target(uint32_t wanted, uint32_t meanwhile);
    // Signals (signals.cpp).
    void on_signal(int number);
    void on_signal_while_stopping(int number);
    void request_reload();
    void on_winch();

    Step step_;
    Pools pools_;
    Rollout rollout_;
    Stop stop_;
    Upgrade upgrade_;
    bool reload_again_ = false;  // HUP came while a reload was under way
    int64_t wake_at_ms_ = kNever;
};

}  // namespace mono::supervisor
