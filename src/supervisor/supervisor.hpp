// The supervisor: the whole policy of the master process as a pure function of events.
// Owns the table of workers, the phase, the target and the back-off. No system call, no clock, no
// Python. Called by one thread: the master's (src/python/supervisor_type), or a simulation's.
// The shell performs the returned actions in order and reports their results as events; it may
// do so at once, or after other events: no answer is assumed to be immediate.
// Invariants, checked after each step by tests/sim:
//  - living processes <= 2 x the largest target since the last calm moment;
//  - a signal is only sent to a pid whose exit is still awaited;
//  - old workers are retired only once one of the new generation serves, and then only so many
//    that target - max_unavailable go on serving; a new generation that fails leaves them alone;
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

    // slots: of the scoreboard. The target never exceeds half of them.
    Supervisor(const Options& options, uint32_t slots);

    // Appends what is to be done to out.
    void step(const Event& event, Actions& out);

    // When the next kTick is due, monotonic milliseconds; kNever: only an event wakes us.
    int64_t wake_at_ms() const { return wake_at_ms_; }
    Phase phase() const { return phase_; }
    // How many workers are wanted, once the reload under way has succeeded.
    uint32_t wanted() const { return wanted_; }
    // How many are kept now; differs from wanted() only while a new generation is on trial.
    uint32_t target() const { return target_; }
    // Of the configuration in force. A reload that is given up gives the former number back.
    uint32_t generation() const { return generation_; }
    // A new generation was begun and none of its workers has served yet.
    bool on_trial() const { return generation_ != proven_; }
    // Workers of the generation in force and of others exist side by side.
    bool rolling() const { return !on_trial() && table_.outdated(generation_) > 0; }
    // The last reload failed, and what served before goes on.
    bool reload_failed() const { return reload_failed_; }
    // Whether the samples of an event at this time are to tell the memory of serving workers.
    bool memory_due(int64_t now_ms) const {
        return options_.memory_limit_bytes > 0 && phase_ == Phase::kRunning &&
               now_ms >= measure_at_ms_;
    }
    const Options& options() const { return options_; }
    uint32_t surge() const;
    const WorkerTable& workers() const { return table_; }
    const Backoff& backoff() const { return backoff_; }

  private:
    void dispatch(const Event& event);
    // Answers to actions.
    void on_forked(const Event& event);
    void on_fork_failed(const Event& event);
    void on_exited(int pid, int status);
    void report_death(const Worker& worker, int status, bool fails_reload);
    void count_failure(const Worker& worker, int status);
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
    // The rollout of a new generation (rollout.cpp).
    void begin_trial(const Options& options);
    void judge_trial();
    bool fails_trial(const Worker& worker) const;
    std::string reload_failure(const std::string& why) const;
    void commit();
    void give_up(const std::string& why);
    void retire_superseded();
    void retire_surplus();
    void retire_outdated();
    // Workers that are to be replaced while they serve (recycle.cpp).
    void take_memory(Worker& worker, int64_t bytes);
    void mark_memory();
    void mark_stuck();
    void abort_stuck();
    bool wants_fork() const;
    void fork_missing();
    void manage();
    void announce_ready();
    void report_progress();
    // What every step looks at.
    void notice_stall(int64_t last_ms);
    void take_samples(const Event& event);
    void note_ready(Worker& worker);
    void note_left(Worker& worker);
    bool leaves_just_now(const Worker& worker) const;
    void check_heartbeats();
    void abort_worker(Worker& worker);
    void kill_overdue();
    void kill_late(Worker& worker);
    void drain();
    int64_t compute_wake() const;
    int64_t worker_wake(const Worker& worker) const;
    // Small parts.
    bool watched(const Worker& worker) const;
    int64_t silent_since(const Worker& worker) const;
    int64_t grace_ms(const Worker& worker) const;
    void retire(Worker& worker, Reason reason);
    void kill_worker(Worker& worker, const std::string& why);
    void stop_worker(Worker& worker, int number);
    uint32_t allowed_target(uint32_t wanted);
    void set_target(uint32_t target);
    void change_target(uint32_t wanted, uint32_t meanwhile);
    void take_options(const Options& options);
    void send_signal(int pid, int number);
    void signal_all(int number);
    void log(int level, std::string text);
    Action& act(ActionKind kind);

    Options options_;
    Options proven_options_;  // what a reload that fails goes back to
    uint32_t wanted_;
    uint32_t target_;
    uint32_t peak_target_;  // the largest since the table was last free of surplus
    uint32_t target_max_;
    uint32_t generation_ = 1;
    uint32_t proven_ = 1;           // the last generation of which a worker served
    uint32_t last_generation_ = 1;  // numbers are never used again
    uint32_t announced_ = 0;        // generation whose readiness was reported
    Phase phase_ = Phase::kIdle;
    bool reload_again_ = false;  // HUP came while a reload was under way
    bool ever_ready_ = false;    // a worker of this server once became ready
    bool reload_failed_ = false;
    bool reexec_asked_ = false;
    bool killed_all_ = false;
    int reexec_pid_ = 0;
    int exit_code_ = 0;
    std::string exit_reason_;
    int64_t now_ms_ = 0;
    int64_t grace_ms_ = 0;  // heartbeats count from here at the earliest
    int64_t stop_deadline_ms_ = kNever;
    int64_t wake_at_ms_ = kNever;
    int64_t measure_at_ms_ = 0;
    int64_t asked_ms_ = 0;               // when the last HUP came
    int64_t rollout_began_ms_ = kNever;  // the HUP that is being carried out; kNever: none is
    int64_t progress_said_ms_ = 0;
    uint32_t progress_said_ = 0;
    Backoff backoff_;
    WorkerTable table_;
    Actions* out_ = nullptr;  // of the step under way
};

}  // namespace mono::supervisor
