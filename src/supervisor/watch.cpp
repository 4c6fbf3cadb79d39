// Samples, heartbeats, deadlines and the next look at a worker.
#include "supervisor/watch.hpp"

#include <algorithm>

#include "supervisor/ending.hpp"

namespace mono::supervisor {
namespace {

void take_memory(Worker& worker, int64_t bytes, const Options& options) {
    if (bytes <= 0) return;  // it could not be read
    const bool over = bytes > options.memory_limit_bytes;
    worker.memory = {bytes, over ? worker.memory.over_limit + 1 : 0};
}

void note_ready(Worker& worker, const Options& options, Step& step) {
    if (worker.ready_ms != 0) return;
    worker.ready_ms = step.now_ms;
    step.ever_ready = true;
    if (worker.state == State::kBooting) {
        worker.state = next(worker.state, StateInput::kReady);
    } else if (worker.state == State::kRetiring) {  // and may have begun requests
        worker.deadline_ms =
            std::min(step.now_ms + grace_ms(worker, options), step.stop_deadline_ms);
    }
}

// Its successor does not wait until it is gone, but for a moment: that may take as long as its last
// request, or a thread of the application.
void note_left(Worker& worker, const Options& options, const Step& step) {
    worker.left_ms = step.now_ms;
    worker.state = next(worker.state, StateInput::kTerm);
    const int64_t grace = grace_ms(worker, options) + Timing::kLeftExtraMs;
    worker.deadline_ms = std::min(step.now_ms + grace, step.stop_deadline_ms);
}

bool watched(const Worker& worker, const Options& options) {
    return options.timeout_ms > 0 && !worker.over &&
           (worker.state == State::kBooting || worker.state == State::kServing ||
            worker.state == State::kRetiring);
}

// A worker that boots is not asked to beat; it is asked to become ready in time.
int64_t silent_since(const Worker& worker, const Step& step) {
    const int64_t alive_ms =
        worker.ready_ms == 0 ? worker.forked_ms : std::max(worker.ready_ms, worker.beat_ms);
    return std::max(alive_ms, step.grace_ms);
}

void kill_late(Worker& worker, Step& step) {
    if (worker.left() && worker.reason == Reason::kNone) worker.reason = Reason::kOverstayed;
    kill_worker(worker,
                worker.over ? "still waits for threads of the application" : "did not stop in time",
                step);
}

}  // namespace

bool leaves_just_now(const Worker& worker, const Step& step) {
    return worker.left() && step.now_ms - worker.left_ms < Timing::kLeftPatienceMs;
}

void Watch::give_back(WorkerTable& table, int64_t lost_ms) const {
    for (Worker& worker : table.all()) {
        worker.suspect_ms = 0;
        if (worker.deadline_ms > 0) worker.deadline_ms += lost_ms;
    }
}

void Watch::take(const Sample& sample, bool measured, Worker& worker, const Options& options,
                 Step& step) const {
    if (worker.state == State::kForking) return;
    worker.beat_ms = std::max(worker.beat_ms, sample.beat_ms);
    worker.in_flight = sample.in_flight;
    worker.stuck = sample.stuck;
    worker.over = sample.over;
    const bool serves = worker.state == State::kServing;
    if (measured && serves) take_memory(worker, sample.memory_bytes, options);
    if (sample.ready) note_ready(worker, options, step);
    if (sample.withdrawn && worker.state == State::kServing) note_left(worker, options, step);
}

void Watch::check_heartbeats(WorkerTable& table, const Options& options, Step& step) const {
    for (Worker& worker : table.all()) {
        if (!watched(worker, options)) continue;
        if (step.now_ms - silent_since(worker, step) <= options.timeout_ms) {
            worker.suspect_ms = 0;
        } else if (worker.suspect_ms == 0) {
            worker.suspect_ms = step.now_ms;
        } else if (step.now_ms - worker.suspect_ms >= Timing::kConfirmMs) {
            const bool booted = worker.ready_ms != 0;
            abort_worker(worker, booted ? Reason::kTimeout : Reason::kBootTimeout, kCritical,
                         "WORKER TIMEOUT (pid:" + std::to_string(worker.pid) + ")", step);
        }
    }
}

void Watch::kill_overdue(WorkerTable& table, Step& step) const {
    for (Worker& worker : table.all()) {
        const bool due = worker.deadline_ms > 0 && step.now_ms >= worker.deadline_ms;
        if (!due) continue;
        if (worker.state == State::kAborting)
            kill_worker(worker, "did not react to ABRT", step);
        else if (worker.state == State::kRetiring)
            kill_late(worker, step);
    }
}

int64_t Watch::wake_ms(const Worker& worker, const Options& options, const Step& step) const {
    const int64_t soon_ms = step.now_ms + Timing::kPollMs;
    int64_t wake = Timing::kNever;
    if (worker.state == State::kRetiring || worker.state == State::kAborting) {
        wake = std::min(worker.deadline_ms, soon_ms);
        if (leaves_just_now(worker, step))
            wake = std::min(wake, worker.left_ms + Timing::kLeftPatienceMs);
    }
    if (stopping(step.phase)) return wake;
    if (worker.state == State::kBooting) wake = soon_ms;
    if (worker.state == State::kServing && options.watch_requests) wake = soon_ms;
    if (worker.state == State::kServing && options.memory_limit_bytes > 0) {
        wake = std::min(wake, std::max(measure_at_ms_, step.now_ms));
    }
    if (!watched(worker, options)) return wake;
    const int64_t judge_ms = worker.suspect_ms == 0
                                 ? silent_since(worker, step) + options.timeout_ms + 1
                                 : worker.suspect_ms + Timing::kConfirmMs;
    return std::min(wake, std::max(judge_ms, step.now_ms));
}

}  // namespace mono::supervisor
