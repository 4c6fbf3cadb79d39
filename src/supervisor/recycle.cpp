// Workers that are to go although they serve: too much memory, or requests that never end. They
// are marked; rollout.cpp starts the replacement and retires them once it serves.
#include <algorithm>
#include <csignal>
#include <string>

#include "supervisor/supervisor.hpp"

namespace mono::supervisor {
namespace {

std::string in_mib(int64_t bytes) { return std::to_string(bytes >> 20) + " MiB"; }

std::string subject(const Worker& worker) {
    return "Worker (pid:" + std::to_string(worker.pid) + ")";
}

}  // namespace

void Supervisor::take_memory(Worker& worker, int64_t bytes) {
    if (bytes <= 0) return;  // it could not be read
    worker.memory_bytes = bytes;
    worker.over_limit = bytes > options_.memory_limit_bytes ? worker.over_limit + 1 : 0;
}

// One at a time, from the mark until it is gone, and only when nothing else is being replaced.
void Supervisor::mark_memory() {
    if (options_.memory_limit_bytes == 0 || on_trial() || table_.outdated(generation_) > 0) return;
    Worker* greatest = nullptr;
    for (Worker& worker : table_.all()) {
        if (worker.marked == Reason::kMemory) return;
        const bool may = worker.state == State::kServing && worker.over_limit >= kMemorySamples &&
                         now_ms_ - worker.forked_ms >= options_.lifetime_min_ms;
        if (!may) continue;
        if (greatest == nullptr || worker.memory_bytes > greatest->memory_bytes) greatest = &worker;
    }
    if (greatest == nullptr) return;
    greatest->marked = Reason::kMemory;
    log(kInfo, subject(*greatest) + " takes " + in_mib(greatest->memory_bytes) +
                   " of memory, more than max_worker_memory (" +
                   in_mib(options_.memory_limit_bytes) + "): it is replaced");
}

// During a trial the old generation waits: if it stays, its stuck workers are marked then.
void Supervisor::mark_stuck() {
    if (on_trial()) return;
    for (Worker& worker : table_.all()) {
        if (worker.state != State::kServing || worker.stuck == 0) continue;
        if (worker.generation != generation_ || worker.marked == Reason::kStuck) continue;
        worker.marked = Reason::kStuck;
        log(kWarning, subject(worker) + " holds " + std::to_string(worker.stuck) +
                          " requests that run longer than request_kill_timeout: it is replaced");
    }
}

// Whatever it retires for: once only requests are left that nobody waits for any more, its grace
// would help nobody. Others that are still there when the grace is over get its last words, which
// KILL would not leave it: where one request holds the GIL, the rest cannot be answered either.
void Supervisor::abort_stuck() {
    for (Worker& worker : table_.all()) {
        if (worker.state != State::kRetiring || worker.stuck == 0) continue;
        const bool alone = worker.in_flight <= worker.stuck;
        if (!alone && now_ms_ < worker.deadline_ms) continue;
        worker.reason = Reason::kStuck;
        worker.state = next(worker.state, StateInput::kAbort);
        worker.deadline_ms = now_ms_ + kAbortGraceMs;
        log(kWarning, subject(worker) + (alone ? " has only stuck requests left and is aborted"
                                               : " did not stop in time and is aborted"));
        send_signal(worker.pid, SIGABRT);
    }
}

}  // namespace mono::supervisor
