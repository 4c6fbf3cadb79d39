// Workers that are to go although they serve: too much memory, or requests that never end. They
// are marked; the pool starts the replacement and retires them once it serves.
#include <string>

#include "supervisor/ending.hpp"
#include "supervisor/watch.hpp"

namespace mono::supervisor {
namespace {

std::string in_mib(int64_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

}  // namespace

// One at a time, from the mark until it is gone, and only when nothing else is being replaced.
void Watch::mark_memory(WorkerTable& table, const Options& options, Step& step) const {
    if (options.memory_limit_bytes == 0 || step.on_trial()) return;
    if (table.outdated(step.generation) > 0) return;
    Worker* greatest = nullptr;
    for (Worker& worker : table.all()) {
        if (worker.marked == Reason::kMemory) return;
        const bool may = worker.state == State::kServing &&
                         worker.memory.over_limit >= Timing::kMemorySamples &&
                         step.now_ms - worker.forked_ms >= options.lifetime_min_ms;
        if (!may) continue;
        if (greatest == nullptr || worker.memory.bytes > greatest->memory.bytes) greatest = &worker;
    }
    if (greatest == nullptr) return;
    greatest->marked = Reason::kMemory;
    step.log(kInfo, subject(*greatest) + " takes " + in_mib(greatest->memory.bytes) +
                        " of memory, more than max_worker_memory (" +
                        in_mib(options.memory_limit_bytes) + "): it is replaced");
}

// During a trial the old generation waits: if it stays, its stuck workers are marked then.
void Watch::mark_stuck(WorkerTable& table, Step& step) const {
    if (step.on_trial()) return;
    for (Worker& worker : table.all()) {
        if (worker.state != State::kServing || worker.stuck == 0) continue;
        if (worker.generation != step.generation || worker.marked == Reason::kStuck) continue;
        worker.marked = Reason::kStuck;
        step.log(kWarning,
                 subject(worker) + " holds " + std::to_string(worker.stuck) +
                     " requests that run longer than request_kill_timeout: it is replaced");
    }
}

// Whatever it retires for: once only requests are left that nobody waits for any more, its grace
// would help nobody. Others that are still there when the grace is over get its last words, which
// KILL would not leave it: where one request holds the GIL, the rest cannot be answered either.
void Watch::abort_stuck(WorkerTable& table, Step& step) const {
    for (Worker& worker : table.all()) {
        if (worker.state != State::kRetiring || worker.stuck == 0) continue;
        const bool alone = worker.in_flight <= worker.stuck;
        if (!alone && step.now_ms < worker.deadline_ms) continue;
        abort_worker(worker, Reason::kStuck, kWarning,
                     subject(worker) + (alone ? " has only stuck requests left and is aborted"
                                              : " did not stop in time and is aborted"),
                     step);
    }
}

}  // namespace mono::supervisor
