// How the master ends one process: TERM and a deadline, ABRT for its last words, KILL. Free
// functions over a worker of the table; called by the pools and by the stop.
#pragma once

#include <cstdint>
#include <string>

#include "supervisor/event.hpp"
#include "supervisor/step.hpp"
#include "supervisor/worker_table.hpp"

namespace mono::supervisor {

// How long it has from TERM to KILL.
int64_t grace_ms(const Worker& worker, const Options& options);
// TERM, now or once its pid is known.
void retire(Worker& worker, Reason reason, const Options& options, Step& step);
// The signal, and a deadline unless it has one. Nothing where it cannot be told any more.
void stop_worker(Worker& worker, int number, const Options& options, Step& step);
// ABRT; KILL follows.
void abort_worker(Worker& worker, Reason reason, int level, const std::string& why, Step& step);
void kill_worker(Worker& worker, const std::string& why, Step& step);
// "Worker (pid:7)".
std::string subject(const Worker& worker);

}  // namespace mono::supervisor
