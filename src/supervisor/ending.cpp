#include "supervisor/ending.hpp"

#include <algorithm>
#include <csignal>

namespace mono::supervisor {

// Who has never served has nothing to finish, and its process may be in the way of the next one:
// C code in an import can hear no TERM. (In a stop nobody waits for its place.)
int64_t grace_ms(const Worker& worker, const Options& options) {
    const int64_t grace = options.graceful_timeout_ms;
    const bool unserved = worker.ready_ms == 0 && worker.reason != Reason::kStop;
    return unserved ? std::min(grace, Timing::kUnservedGraceMs) : grace;
}

void retire(Worker& worker, Reason reason, const Options& options, Step& step) {
    worker.reason = reason;
    if (worker.state == State::kForking) {
        worker.doomed = true;
        return;
    }
    stop_worker(worker, SIGTERM, options, step);
}

void stop_worker(Worker& worker, int number, const Options& options, Step& step) {
    const State state = next(worker.state, StateInput::kTerm);
    if (state == State::kRefused) return;
    const bool already = worker.state == State::kRetiring;
    worker.state = state;
    if (!already) worker.deadline_ms = step.now_ms + grace_ms(worker, options);
    step.send_signal(worker.pid, number);
}

void abort_worker(Worker& worker, Reason reason, int level, const std::string& why, Step& step) {
    worker.reason = reason;
    worker.state = next(worker.state, StateInput::kAbort);
    worker.deadline_ms = step.now_ms + Timing::kAbortGraceMs;
    step.log(level, why);
    step.send_signal(worker.pid, SIGABRT);
}

void kill_worker(Worker& worker, const std::string& why, Step& step) {
    const State state = next(worker.state, StateInput::kKill);
    if (state == State::kRefused) return;
    worker.state = state;
    worker.overdue = true;
    step.log(kWarning, subject(worker) + " " + why + " and is killed");
    step.send_signal(worker.pid, SIGKILL);
}

std::string subject(const Worker& worker) {
    return "Worker (pid:" + std::to_string(worker.pid) + ")";
}

}  // namespace mono::supervisor
