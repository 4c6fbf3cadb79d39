// What the workers of a pool say of themselves, and what follows where they say nothing: samples of
// the scoreboard, heartbeats, deadlines, memory, requests that never end. Owned by its pool, whose
// table and options it is handed.
#pragma once

#include <cstdint>

#include "supervisor/event.hpp"
#include "supervisor/step.hpp"
#include "supervisor/worker_table.hpp"

namespace mono::supervisor {

class Watch {
  public:
    // Everybody gets back the time in which the master did not run.
    void give_back(WorkerTable& table, int64_t lost_ms) const;

    bool memory_due(const Options& options, Phase phase, int64_t now_ms) const {
        return options.memory_limit_bytes > 0 && phase == Phase::kRunning &&
               now_ms >= measure_at_ms_;
    }
    void measured(const Step& step) { measure_at_ms_ = step.now_ms + Timing::kMeasureMs; }
    void take(const Sample& sample, bool measured, Worker& worker, const Options& options,
              Step& step) const;

    void check_heartbeats(WorkerTable& table, const Options& options, Step& step) const;
    void kill_overdue(WorkerTable& table, Step& step) const;

    // recycle.cpp: workers that are to go although they serve.
    void mark_memory(WorkerTable& table, const Options& options, Step& step) const;
    void mark_stuck(WorkerTable& table, Step& step) const;
    void abort_stuck(WorkerTable& table, Step& step) const;

    // When one of them is to be looked at next.
    int64_t wake_ms(const Worker& worker, const Options& options, const Step& step) const;

  private:
    int64_t measure_at_ms_ = 0;
};

// It left by itself a moment ago: most are gone at once, and then their hooks come before those of
// the successor.
bool leaves_just_now(const Worker& worker, const Step& step);

}  // namespace mono::supervisor
