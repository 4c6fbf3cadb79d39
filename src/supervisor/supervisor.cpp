// The steps of the supervisor. Signals are in signals.cpp, watching in watch.cpp.
#include "supervisor/supervisor.hpp"

#include <algorithm>
#include <csignal>
#include <utility>

#include "supervisor/death.hpp"

namespace mono::supervisor {

Supervisor::Supervisor(const Options& options, uint32_t slots)
    : options_(options),
      target_(std::min(options.workers, slots / 2)),
      peak_target_(target_),
      target_max_(slots / 2),
      table_(slots) {}

void Supervisor::step(const Event& event, Actions& out) {
    if (phase_ == Phase::kHalted) return;
    out_ = &out;
    const int64_t last_ms = std::exchange(now_ms_, std::max(now_ms_, event.now_ms));
    notice_stall(last_ms);
    take_samples(event);
    dispatch(event);
    if (phase_ == Phase::kRunning || phase_ == Phase::kReloading) {
        if (event.kind == EventKind::kTick) check_heartbeats();
        kill_overdue();
        backoff_.calm(now_ms_, table_.serving() > 0);
        manage();
        announce_ready();
    } else if (stopping(phase_)) {
        kill_overdue();
        drain();
    }
    wake_at_ms_ = compute_wake();
    out_ = nullptr;
}

void Supervisor::dispatch(const Event& event) {
    switch (event.kind) {
        case EventKind::kStart:
            if (next(phase_, PhaseInput::kStart) != Phase::kRefused) phase_ = Phase::kRunning;
            break;
        case EventKind::kTick:
            break;
        case EventKind::kSignal:
            on_signal(event.number);
            break;
        case EventKind::kForked:
            on_forked(event);
            break;
        case EventKind::kForkFailed:
            on_fork_failed(event);
            break;
        case EventKind::kExited:
            on_exited(event.pid, event.number, event.text);
            break;
        case EventKind::kReloaded:
            on_reloaded(event.options);
            break;
        case EventKind::kReloadFailed:
            on_reload_failed();
            break;
        case EventKind::kReexecForked:
            reexec_asked_ = false;
            reexec_pid_ = event.pid;
            break;
        case EventKind::kReexecFailed:
            reexec_asked_ = false;
            break;
        case EventKind::kPromoted:
            options_.unpromoted = false;
            break;
        case EventKind::kSetWorkers:
            if (!stopping(phase_)) change_target(static_cast<uint32_t>(std::max(event.number, 0)));
            break;
    }
}

void Supervisor::on_forked(const Event& event) {
    Worker* worker = table_.by_slot(event.slot);
    if (worker == nullptr || worker->state != State::kForking) return;
    worker->pid = event.pid;
    worker->forked_ms = now_ms_;
    worker->state = next(worker->state, StateInput::kForked);
    if (worker->doomed) {
        worker->doomed = false;
        stop_worker(*worker, phase_ == Phase::kQuitting ? SIGQUIT : SIGTERM);
    }
}

void Supervisor::on_fork_failed(const Event& event) {
    const Worker* worker = table_.by_slot(event.slot);
    if (worker == nullptr || worker->state != State::kForking) return;
    table_.remove(event.slot);
    backoff_.fork_failed(now_ms_);
    log(kError, "Cannot start a worker: " + event.text);
}

void Supervisor::on_exited(int pid, int status, const std::string& details) {
    if (pid == reexec_pid_ && pid > 0) return on_reexec_exited(status);
    const Worker* found = table_.by_pid(pid);
    if (found == nullptr) {
        // As PID 1 of a container the master inherits whatever the application left behind.
        return log(kDebug, "Reaped process " + std::to_string(pid) + ", which is no worker");
    }
    const Worker worker = *found;
    table_.remove(worker.slot);
    const Death death = explain(worker, status);
    if (death.level > 0) log(death.level, death.text + details);

    const bool asked = worker.asked();
    const bool running = phase_ == Phase::kRunning || phase_ == Phase::kReloading;
    if (running && !asked && !ever_ready_ && exited_with(status, kWorkerBootError)) {
        return stop_all(PhaseInput::kStop, kWorkerBootError, "Worker failed to boot.");
    }
    if (running && !asked && !ever_ready_ && exited_with(status, kAppLoadError)) {
        return stop_all(PhaseInput::kStop, kAppLoadError, "App failed to load.");
    }
    act(ActionKind::kChildExit).pid = pid;
    // Once it served, only its own faults count: whoever kills workers gets them back at once.
    const bool killed = worker.reason == Reason::kNone && ended_by_others(status);
    const bool failed = worker.ready_ms == 0 || !(ended_well(status) || killed);
    if (!running || asked || !failed) return;
    const int64_t served_ms = worker.ready_ms == 0 ? 0 : now_ms_ - worker.ready_ms;
    if (backoff_.fail(worker.round, served_ms, now_ms_) && !backoff_.open(now_ms_)) {
        log(kWarning, "Workers keep failing: the next one starts in " +
                          std::to_string(backoff_.open_at_ms() - now_ms_) + " ms");
    }
}

void Supervisor::on_reexec_exited(int status) {
    reexec_pid_ = 0;
    if (stopping(phase_) || ended_well(status)) return;
    log(kWarning, "The new master is gone; this one goes on");
}

void Supervisor::on_reloaded(const Options& options) {
    if (next(phase_, PhaseInput::kAnswer) == Phase::kRefused) return;  // a stop came first
    phase_ = Phase::kRunning;
    const bool unpromoted = options_.unpromoted;
    options_ = options;
    options_.unpromoted = unpromoted;
    ++generation_;
    backoff_.reset();
    set_target(options.workers);
    if (std::exchange(reload_again_, false)) request_reload();
}

void Supervisor::on_reload_failed() {
    if (next(phase_, PhaseInput::kAnswer) == Phase::kRefused) return;
    phase_ = Phase::kRunning;
    announced_ = 0;  // whoever waits for the reload is told that the old workers serve
    if (std::exchange(reload_again_, false)) request_reload();
}

// --- Keeping the number ---------------------------------------------------------------------

void Supervisor::manage() {
    if (table_.size() <= target_) peak_target_ = target_;
    retire_young_surplus();
    retire_older();
    fork_missing();
}

bool Supervisor::missing_workers() const {
    // A worker that was aborted still holds its memory and its place until it is reaped.
    return table_.active(generation_) + table_.ending() < target_;
}

void Supervisor::fork_missing() {
    // Processes on their way out may be as many as those that serve, never more: a storm of TTIN
    // and TTOU, or of HUP, over workers that drain slowly cannot fill the machine.
    const uint32_t processes_max = 2 * peak_target_;
    while (missing_workers() && table_.size() < processes_max && backoff_.open(now_ms_)) {
        Worker* worker = table_.add(generation_);
        if (worker == nullptr) return;
        worker->round = backoff_.round();
        worker->forked_ms = now_ms_;
        Action& action = act(ActionKind::kFork);
        action.slot = worker->slot;
        action.age = worker->age;
        action.generation = worker->generation;
    }
}

// Serving workers go oldest first, but never so many that too few serve: then those that still
// boot go, youngest first. (TTIN and TTOU in a row must not trade a serving worker for a booting.)
void Supervisor::retire_young_surplus() {
    uint32_t young = table_.active(generation_);
    uint32_t serving = table_.serving();
    auto& workers = table_.all();
    for (Worker& worker : workers) {
        if (young <= target_ || serving <= target_) break;
        if (worker.generation != generation_ || worker.state != State::kServing) continue;
        retire(worker, Reason::kSurplus);
        --young;
        --serving;
    }
    for (auto worker = workers.rbegin(); worker != workers.rend() && young > target_; ++worker) {
        if (!worker->active() || worker->generation != generation_) continue;
        if (worker->state == State::kServing) continue;
        retire(*worker, Reason::kSurplus);
        --young;
    }
}

// Older generations: those that never served go at once, the others, oldest first, as soon as
// those that stay serve in the wanted number.
void Supervisor::retire_older() {
    uint32_t serving = table_.serving();
    for (Worker& worker : table_.all()) {
        if (!worker.active() || worker.generation == generation_) continue;
        if (worker.state != State::kServing) {
            retire(worker, Reason::kReplaced);
        } else if (serving > target_) {
            retire(worker, Reason::kReplaced);
            --serving;
        }
    }
}

void Supervisor::announce_ready() {
    if (announced_ == generation_ || phase_ != Phase::kRunning) return;
    if (table_.active_older(generation_) > 0 && announced_ != 0) return;
    if (table_.serving() < target_) return;
    announced_ = generation_;
    act(ActionKind::kReady).generation = generation_;
}

// Silent: after a reload the shell has called the hook already, before the others.
void Supervisor::set_target(uint32_t wanted) {
    target_ = std::min(wanted, target_max_);
    if (target_ < wanted) {
        log(kWarning, "More than " + std::to_string(target_max_) + " workers are not supported");
    }
    peak_target_ = std::max(peak_target_, target_);
}

void Supervisor::change_target(uint32_t wanted) {
    const uint32_t previous = target_;
    set_target(wanted);
    if (target_ == previous) return;
    Action& action = act(ActionKind::kWorkersChanged);
    action.count = target_;
    action.previous = previous;
}

void Supervisor::drain() {
    if (now_ms_ >= stop_deadline_ms_ && killed_all_) {
        log(kError, std::to_string(table_.size()) + " workers could not be killed");
    } else if (now_ms_ >= stop_deadline_ms_) {
        killed_all_ = true;
        stop_deadline_ms_ = now_ms_ + kGiveUpMs;
        for (Worker& worker : table_.all()) kill_worker(worker, "did not stop in time");
        if (table_.size() > 0) return;
    } else if (table_.size() > 0) {
        return;
    }
    phase_ = next(phase_, PhaseInput::kEmptied);
    Action& action = act(ActionKind::kHalt);
    action.number = exit_code_;
    action.text = exit_reason_;
}

// --- Small parts ----------------------------------------------------------------------------

void Supervisor::retire(Worker& worker, Reason reason) {
    worker.reason = reason;
    if (worker.state == State::kForking) {
        worker.doomed = true;
        return;
    }
    stop_worker(worker, SIGTERM);
}

void Supervisor::stop_worker(Worker& worker, int number) {
    const State state = next(worker.state, StateInput::kTerm);
    if (state == State::kRefused) return;
    const bool already = worker.state == State::kRetiring;
    worker.state = state;
    if (!already) worker.deadline_ms = now_ms_ + options_.graceful_timeout_ms;
    send_signal(worker.pid, number);
}

void Supervisor::kill_worker(Worker& worker, std::string why) {
    const State state = next(worker.state, StateInput::kKill);
    if (state == State::kRefused) return;
    worker.state = state;
    worker.overdue = true;
    log(kWarning, "Worker (pid:" + std::to_string(worker.pid) + ") " + why + " and is killed");
    send_signal(worker.pid, SIGKILL);
}

void Supervisor::send_signal(int pid, int number) {
    Action& action = act(ActionKind::kKill);
    action.pid = pid;
    action.number = number;
}

void Supervisor::signal_all(int number) {
    for (const Worker& worker : table_.all()) {
        if (worker.pid > 0) send_signal(worker.pid, number);
    }
}

void Supervisor::log(int level, std::string text) {
    Action& action = act(ActionKind::kLog);
    action.number = level;
    action.text = std::move(text);
}

Action& Supervisor::act(ActionKind kind) { return out_->emplace_back(Action{.kind = kind}); }

}  // namespace mono::supervisor
