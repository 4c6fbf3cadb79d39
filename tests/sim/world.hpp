// World: a machine with processes, signals and a clock, all from one seed, around a supervisor.
// It performs the supervisor's actions (at once or late, in order), kills and starts processes,
// and checks the invariants of src/supervisor/supervisor.hpp after every step.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>

#include "supervisor/supervisor.hpp"

namespace mono::sim {

// How likely the misfortunes of one history are; drawn from the seed.
struct Climate {
    double crash = 0;       // a serving worker dies, an hour
    double boot_crash = 0;  // a worker dies while it boots
    double boot_code = 0;   // ... with code 3 or 4
    double hang = 0;        // a worker stops beating
    double deaf = 0;        // a worker ignores everything but KILL
    double fork_fails = 0;
    double reload_fails = 0;
    double late_answers = 0;  // an action is performed after other events
    double stall = 0;         // the master does not run for minutes, a step
    double signal = 0;        // a signal comes, a step
    double fat = 0;           // a worker grows beyond every limit
    double stuck = 0;         // a request never ends, an hour and worker
    double leave = 0;         // a worker takes no more requests of its own accord, an hour
    double linger = 0;        // ... and threads keep it from its end
    int64_t boot_ms = 100;
    int64_t drain_ms = 100;
};

class World {
  public:
    explicit World(uint64_t seed);

    // Runs the whole history, then a stop; the sentence that describes the first broken
    // invariant, or nothing.
    std::optional<std::string> run(int steps);
    // Counters of what the histories really exercised.
    std::map<std::string, uint64_t> seen;

  private:
    struct Process {
        size_t pool = 0;
        uint32_t slot = 0;
        uint32_t generation = 0;
        int64_t boots_at_ms = 0;
        int64_t dies_at_ms = supervisor::Supervisor::kNever;
        int status = 0;
        bool ready = false;
        bool hung = false;
        bool deaf = false;
        int64_t beat_ms = 0;
        int64_t forked_ms = 0;
        bool fat = false;
        uint32_t in_flight = 0;
        uint32_t stuck = 0;
        int64_t told_ran_ms = -1;  // ran_ms_ at its first TERM, or when it left
        bool left = false;
        bool over = false;  // its heart is still
        bool lingers = false;
        bool aborted = false;
    };

    void advance();
    void live_until(int64_t until_ms);
    void give(supervisor::Event event);
    void tick();
    void perform_all(bool everything);
    void perform(const supervisor::Action& action);
    void do_fork(const supervisor::Action& action);
    void do_kill(const supervisor::Action& action);
    void do_reload();
    void check_kill(const Process& process, int number);
    void random_signal();
    void reap();
    void finish();
    void check_after_step(const supervisor::Actions& actions);
    void check_pool(const supervisor::Pool& pool, const supervisor::Actions& actions);
    void check_rollout(const supervisor::Pool& pool, const supervisor::Actions& actions);
    void check_retired(const supervisor::Pool& pool, const supervisor::Worker& worker);
    void check_successors(const supervisor::Pool& pool);
    void leave_perhaps(Process& process, double hours);
    void broken(const std::string& what);
    void heal();
    bool chance(double probability);
    int64_t between(int64_t low, int64_t high);
    supervisor::Options random_options(supervisor::Kind kind, bool at_start);
    std::vector<supervisor::Sample> samples() const;

    uint64_t seed_;
    std::mt19937_64 random_;
    Climate climate_;
    bool prompt_;  // actions are performed at once, in this whole history
    supervisor::Options options_;
    supervisor::Supervisor supervisor_;
    int64_t now_ms_;
    int next_pid_ = 1'000;
    std::array<uint32_t, 2> largest_target_;  // a pool
    // A pool: the newest generation of which a worker was seen to serve.
    std::array<uint32_t, 2> newest_served_ = {};
    uint32_t committed_ = 1;  // the generation that a failed reload has to go back to
    int trials_ = 0;          // reloads whose canary may still fail
    int64_t ran_ms_ = 0;      // time in which the machine was awake
    int64_t least_graceful_ms_;
    bool quit_sent_ = false;
    bool halted_ = false;
    int halt_code_ = 0;
    bool boot_code_seen_ = false;
    std::map<int, Process> alive_;
    std::map<int, int> zombies_;  // pid -> status
    std::set<int> foreign_;       // pids of the new masters
    std::deque<supervisor::Action> todo_;
    std::map<int, int> terms_;  // TERMs a pid got
    std::optional<std::string> failure_;
    std::string last_event_;
};

}  // namespace mono::sim
