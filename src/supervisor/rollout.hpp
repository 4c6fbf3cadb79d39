// How a new configuration takes the place of the old one, in all pools together:
//
//              HUP, configuration good           one of it serves           the last old one is
//              told                               in every pool              gone
//   Settled ---------------------------> Trial ---------------------> Rolling ----------> Settled
//      ^                                 |   ^                          |
//      |   a worker of it fails: roll back   | HUP: the next generation |
//      +---------------------------------+   +--------------------------+
//
// Trial: one worker of the new generation (the canary) beside the old ones of its pool, none of
// which is retired for its sake. Rolling: bounded by each pool's max_surge and max_unavailable.
// Owned by the supervisor. Numbers of generations are never used again.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "supervisor/pool.hpp"
#include "supervisor/step.hpp"

namespace mono::supervisor {

using Pools = std::vector<Pool>;

class Rollout {
  public:
    // The last reload failed, and what served before goes on.
    bool reload_failed() const { return reload_failed_; }
    void asked(int64_t now_ms) { asked_ms_ = now_ms; }

    void begin(const Options& options, Pools& pools, Step& step);
    // The new configuration could not be read.
    void refuse();
    // Commits as soon as every pool has a worker of the generation on trial that served.
    void judge(Pools& pools, Step& step);
    // The end of this worker ends the trial.
    static bool fails(const Worker& worker, const Step& step);
    void give_up(const std::string& why, Pools& pools, Step& step);
    static std::string failure(const std::string& why, const Pools& pools);

    // What those who wait for it are told.
    void announce_ready(const Pools& pools, Step& step);
    void report_progress(const Pools& pools, Step& step);

  private:
    void commit(Pools& pools, Step& step);

    uint32_t last_generation_ = 1;
    uint32_t announced_ = 0;  // generation whose readiness was reported
    bool reload_failed_ = false;
    int64_t asked_ms_ = 0;               // when the last HUP came
    int64_t began_ms_ = Timing::kNever;  // the HUP that is being carried out; kNever: none is
    int64_t progress_said_ms_ = 0;
    uint32_t progress_said_ = 0;
};

}  // namespace mono::supervisor
