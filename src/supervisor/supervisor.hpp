// The supervisor: the whole policy of the master process as a pure function of events.
// Owns the table of workers, the phase, the target and the back-off. No system call, no clock, no
// Python. Called by one thread: the master's (src/python/supervisor_type), or a simulation's.
// The shell performs the returned actions in order and reports their results as events; it may
// do so at once, or after other events: no answer is assumed to be immediate.
// Invariants, checked after each step by tests/sim:
//  - living processes <= 2 x the largest target since the last calm moment;
//  - a signal is only sent to a pid whose exit is still awaited;
//  - old workers are retired only as replacements become ready;
//  - once halted, no action follows; a stop always ends in a halt.
#pragma once

#include <cstdint>
#include <limits>
#include <string>

#include "supervisor/backoff.hpp"
#include "supervisor/event.hpp"
#include "supervisor/phases.hpp"
#include "supervisor/worker_table.hpp"

namespace mono::supervisor {

class Supervisor {
  public:
    static constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
    // From ABRT to KILL.
    static constexpr int64_t kAbortGraceMs = 1'000;
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

    // slots: of the scoreboard. The target never exceeds half of them.
    Supervisor(const Options& options, uint32_t slots);

    // Appends what is to be done to out.
    void step(const Event& event, Actions& out);

    // When the next kTick is due, monotonic milliseconds; kNever: only an event wakes us.
    int64_t wake_at_ms() const { return wake_at_ms_; }
    Phase phase() const { return phase_; }
    uint32_t target() const { return target_; }
    uint32_t generation() const { return generation_; }
    const WorkerTable& workers() const { return table_; }
    const Backoff& backoff() const { return backoff_; }

  private:
    void dispatch(const Event& event);
    // Answers to actions.
    void on_forked(const Event& event);
    void on_fork_failed(const Event& event);
    void on_exited(int pid, int status, const std::string& details);
    void on_reexec_exited(int status);
    void on_reloaded(const Options& options);
    void on_reload_failed();
    // Signals.
    void on_signal(int number);
    void on_signal_while_stopping(int number);
    void request_reload();
    void request_reexec();
    void on_winch();
    void stop_all(PhaseInput input, int code, std::string reason);
    void shorten_stop(int number);
    // What every step looks at.
    void notice_stall(int64_t last_ms);
    void take_samples(const Event& event);
    void check_heartbeats();
    void abort_worker(Worker& worker);
    void kill_overdue();
    void manage();
    void fork_missing();
    void retire_young_surplus();
    void retire_older();
    void announce_ready();
    void drain();
    int64_t compute_wake() const;
    int64_t worker_wake(const Worker& worker) const;
    // Small parts.
    bool watched(const Worker& worker) const;
    int64_t silent_since(const Worker& worker) const;
    void retire(Worker& worker, Reason reason);
    void kill_worker(Worker& worker, std::string why);
    void stop_worker(Worker& worker, int number);
    void set_target(uint32_t wanted);
    void change_target(uint32_t wanted);
    bool missing_workers() const;
    void send_signal(int pid, int number);
    void signal_all(int number);
    void log(int level, std::string text);
    Action& act(ActionKind kind);

    Options options_;
    uint32_t target_;
    uint32_t peak_target_;  // the largest since the table was last free of surplus
    uint32_t target_max_;
    uint32_t generation_ = 1;
    uint32_t announced_ = 0;  // generation whose readiness was reported
    Phase phase_ = Phase::kIdle;
    bool reload_again_ = false;  // HUP came while a reload was under way
    bool ever_ready_ = false;    // a worker of this server once became ready
    bool reexec_asked_ = false;
    bool killed_all_ = false;
    int reexec_pid_ = 0;
    int exit_code_ = 0;
    std::string exit_reason_;
    int64_t now_ms_ = 0;
    int64_t grace_ms_ = 0;  // heartbeats count from here at the earliest
    int64_t stop_deadline_ms_ = kNever;
    int64_t wake_at_ms_ = kNever;
    Backoff backoff_;
    WorkerTable table_;
    Actions* out_ = nullptr;  // of the step under way
};

}  // namespace mono::supervisor
