// Heartbeats, deadlines and the next wake-up.
#include <algorithm>
#include <csignal>
#include <utility>

#include "supervisor/supervisor.hpp"

namespace mono::supervisor {

// A master that did not run (a paused machine, SIGSTOP, a hook that took minutes) cannot judge
// its workers: they may have been paused with it. Everybody gets the lost time back.
void Supervisor::notice_stall(int64_t last_ms) {
    if (wake_at_ms_ == kNever || now_ms_ - wake_at_ms_ <= kStallMs) return;
    const int64_t lost_ms = now_ms_ - last_ms;
    grace_ms_ = now_ms_;
    for (Worker& worker : table_.all()) {
        worker.suspect_ms = 0;
        if (worker.deadline_ms > 0) worker.deadline_ms += lost_ms;
    }
    if (stop_deadline_ms_ != kNever) stop_deadline_ms_ += lost_ms;
    log(kWarning, "The master did not run for " + std::to_string(lost_ms / 1'000) +
                      " s; workers get that time back");
}

void Supervisor::take_samples(const Event& event) {
    const bool measured = memory_due(now_ms_);
    if (measured) measure_at_ms_ = now_ms_ + kMeasureMs;
    for (const Sample& sample : event.samples) {
        Worker* worker = table_.by_slot(sample.slot);
        if (worker == nullptr || worker->state == State::kForking) continue;
        worker->beat_ms = std::max(worker->beat_ms, sample.beat_ms);
        worker->in_flight = sample.in_flight;
        worker->stuck = sample.stuck;
        worker->over = sample.over;
        if (measured && worker->state == State::kServing) take_memory(*worker, sample.memory_bytes);
        if (sample.ready) note_ready(*worker);
        if (sample.withdrawn && worker->state == State::kServing) note_left(*worker);
    }
}

void Supervisor::note_ready(Worker& worker) {
    if (worker.ready_ms != 0) return;
    worker.ready_ms = now_ms_;
    ever_ready_ = true;
    if (worker.state == State::kBooting) {
        worker.state = next(worker.state, StateInput::kReady);
    } else if (worker.state == State::kRetiring) {  // and may have begun requests
        worker.deadline_ms = std::min(now_ms_ + grace_ms(worker), stop_deadline_ms_);
    }
}

// Its successor does not wait until it is gone, but for a moment: that may take as long as its last
// request, or a thread of the application.
void Supervisor::note_left(Worker& worker) {
    worker.left_ms = now_ms_;
    worker.state = next(worker.state, StateInput::kTerm);
    worker.deadline_ms = std::min(now_ms_ + grace_ms(worker) + kLeftExtraMs, stop_deadline_ms_);
}

// Most are gone at once: then their hooks come before those of the successor.
bool Supervisor::leaves_just_now(const Worker& worker) const {
    return worker.left() && now_ms_ - worker.left_ms < kLeftPatienceMs;
}

bool Supervisor::watched(const Worker& worker) const {
    return options_.timeout_ms > 0 && !worker.over &&
           (worker.state == State::kBooting || worker.state == State::kServing ||
            worker.state == State::kRetiring);
}

// A worker that boots is not asked to beat; it is asked to become ready in time.
int64_t Supervisor::silent_since(const Worker& worker) const {
    const int64_t alive_ms =
        worker.ready_ms == 0 ? worker.forked_ms : std::max(worker.ready_ms, worker.beat_ms);
    return std::max(alive_ms, grace_ms_);
}

void Supervisor::check_heartbeats() {
    for (Worker& worker : table_.all()) {
        if (!watched(worker)) continue;
        if (now_ms_ - silent_since(worker) <= options_.timeout_ms) {
            worker.suspect_ms = 0;
        } else if (worker.suspect_ms == 0) {
            worker.suspect_ms = now_ms_;
        } else if (now_ms_ - worker.suspect_ms >= kConfirmMs) {
            abort_worker(worker);
        }
    }
}

void Supervisor::abort_worker(Worker& worker) {
    worker.reason = worker.ready_ms == 0 ? Reason::kBootTimeout : Reason::kTimeout;
    worker.state = next(worker.state, StateInput::kAbort);
    worker.deadline_ms = now_ms_ + kAbortGraceMs;
    log(kCritical, "WORKER TIMEOUT (pid:" + std::to_string(worker.pid) + ")");
    send_signal(worker.pid, SIGABRT);
}

void Supervisor::kill_overdue() {
    for (Worker& worker : table_.all()) {
        const bool due = worker.deadline_ms > 0 && now_ms_ >= worker.deadline_ms;
        if (!due) continue;
        if (worker.state == State::kAborting)
            kill_worker(worker, "did not react to ABRT");
        else if (worker.state == State::kRetiring)
            kill_late(worker);
    }
}

void Supervisor::kill_late(Worker& worker) {
    if (worker.left() && worker.reason == Reason::kNone) worker.reason = Reason::kOverstayed;
    kill_worker(worker, worker.over ? "still waits for threads of the application"
                                    : "did not stop in time");
}

int64_t Supervisor::worker_wake(const Worker& worker) const {
    int64_t wake = kNever;
    if (worker.state == State::kRetiring || worker.state == State::kAborting) {
        wake = std::min(worker.deadline_ms, now_ms_ + kPollMs);
        if (leaves_just_now(worker)) wake = std::min(wake, worker.left_ms + kLeftPatienceMs);
    }
    if (stopping(phase_)) return wake;
    if (worker.state == State::kBooting) wake = now_ms_ + kPollMs;
    if (worker.state == State::kServing && options_.watch_requests) wake = now_ms_ + kPollMs;
    if (worker.state == State::kServing && options_.memory_limit_bytes > 0) {
        wake = std::min(wake, std::max(measure_at_ms_, now_ms_));
    }
    if (!watched(worker)) return wake;
    const int64_t judge_ms = worker.suspect_ms == 0 ? silent_since(worker) + options_.timeout_ms + 1
                                                    : worker.suspect_ms + kConfirmMs;
    return std::min(wake, std::max(judge_ms, now_ms_));
}

int64_t Supervisor::compute_wake() const {
    if (phase_ == Phase::kIdle || phase_ == Phase::kHalted) return kNever;
    int64_t wake = stopping(phase_) ? std::min(stop_deadline_ms_, now_ms_ + kPollMs) : kNever;
    for (const Worker& worker : table_.all()) wake = std::min(wake, worker_wake(worker));
    if (stopping(phase_)) return wake;
    const bool waits_for_backoff =
        phase_ == Phase::kRunning && wants_fork() && !backoff_.open(now_ms_);
    return waits_for_backoff ? std::min(wake, backoff_.open_at_ms()) : wake;
}

}  // namespace mono::supervisor
