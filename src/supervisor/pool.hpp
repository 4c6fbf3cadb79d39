// A pool: the processes of one kind, kept at their number. It has a target, a back-off, a surge,
// and its part of a trial: one worker of a new generation beside the old ones. Owned by the
// supervisor, which decides about phases, signals, reloads, the stop and the upgrade for all pools
// together. Nothing of one pool depends on another; a pool learns the generation in force from
// Step. Invariants: living processes <= 2 x the largest target since the last calm moment; old
// workers are retired only once one of the new generation serves, and then only so many that target
// - max_unavailable go on serving.
#pragma once

#include <cstdint>
#include <string>

#include "supervisor/backoff.hpp"
#include "supervisor/event.hpp"
#include "supervisor/step.hpp"
#include "supervisor/watch.hpp"
#include "supervisor/worker_table.hpp"

namespace mono::supervisor {

class Pool {
  public:
    // Its workers have these slots of the scoreboard, half of which is the largest target.
    Pool(Kind kind, const Options& options, uint32_t slots, uint32_t first_slot);

    Kind kind() const { return kind_; }
    const Options& options() const { return options_; }
    // How many workers are wanted, once the reload under way has succeeded; and how many are kept
    // now, which differs while a new generation is on trial.
    uint32_t wanted() const { return wanted_; }
    uint32_t target() const { return target_; }
    uint32_t surge() const;
    WorkerTable& table() { return table_; }
    const WorkerTable& table() const { return table_; }
    const Backoff& backoff() const { return backoff_; }
    Watch& watch() { return watch_; }
    const Watch& watch() const { return watch_; }

    // A configuration on trial, and what comes of it.
    void begin(const Options& options, Step& step);
    bool proves(uint32_t generation) const;  // a worker of it has served, or none is wanted
    void commit();
    void go_back();  // to the options of before

    // meanwhile: the number to keep as long as a new generation is on trial. True: wanted() is new.
    bool change_target(uint32_t wanted, uint32_t meanwhile, Step& step);
    // Before manage(): in a calm moment the largest target is the present one.
    void note_calm();
    // Too many go, too few are forked.
    void manage(Step& step);
    // Heartbeats (at a tick), deadlines.
    void look_after(bool heartbeats, Step& step);

    // Answers about a worker of this pool.
    void forked(Worker& worker, int pid, Step& step);
    void fork_failed(uint32_t slot, const Step& step);
    void count_failure(const Worker& worker, int status, Step& step);

    int64_t wake_ms(const Step& step) const;

  private:
    uint32_t allowed_target(uint32_t wanted, Step& step) const;
    void set_target(uint32_t target);
    void retire_superseded(Step& step);
    void retire_surplus(Step& step);
    void retire_outdated(Step& step);
    bool wants_fork(const Step& step) const;
    void fork_missing(Step& step);

    Kind kind_;
    Options options_;
    Options proven_options_;  // what a reload that fails goes back to
    uint32_t target_max_;
    uint32_t wanted_;
    uint32_t target_;
    uint32_t peak_target_;  // the largest since the table was last free of surplus
    Backoff backoff_;
    WorkerTable table_;
    Watch watch_;
};

}  // namespace mono::supervisor
