// The steps of the supervisor. Signals are in signals.cpp, watching in watch.cpp, how many workers
// there are and of which generation in rollout.cpp.
#include "supervisor/supervisor.hpp"

#include <algorithm>
#include <csignal>
#include <utility>

#include "supervisor/death.hpp"

namespace mono::supervisor {

Supervisor::Supervisor(const Options& options, uint32_t slots)
    : options_(options),
      wanted_(std::min(options.workers, slots / 2)),
      target_(wanted_),
      peak_target_(target_),
      target_max_(slots / 2),
      table_(slots) {}

void Supervisor::step(const Event& event, Actions& out) {
    if (phase_ == Phase::kHalted) return;
    out_ = &out;
    const int64_t last_ms = std::exchange(now_ms_, std::max(now_ms_, event.now_ms));
    notice_stall(last_ms);
    take_samples(event);
    judge_trial();
    dispatch(event);
    if (phase_ == Phase::kRunning || phase_ == Phase::kReloading) {
        if (event.kind == EventKind::kTick) check_heartbeats();
        abort_stuck();
        kill_overdue();
        backoff_.calm(now_ms_, table_.serving() > 0);
        manage();
        report_progress();
        announce_ready();
    } else if (stopping(phase_)) {
        abort_stuck();
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
            on_exited(event.pid, event.number);
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
            if (!stopping(phase_)) {
                const auto wanted = static_cast<uint32_t>(std::max(event.number, 0));
                change_target(wanted, wanted);
            }
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
    const Worker* found = table_.by_slot(event.slot);
    if (found == nullptr || found->state != State::kForking) return;
    const bool fails = fails_trial(*found);
    table_.remove(event.slot);
    backoff_.fork_failed(now_ms_);
    if (!fails) return log(kError, "Cannot start a worker: " + event.text);
    log(kError, reload_failure("cannot start a worker: " + event.text));
    give_up("cannot start a worker: " + event.text);
}

void Supervisor::on_exited(int pid, int status) {
    if (pid == reexec_pid_ && pid > 0) return on_reexec_exited(status);
    const Worker* found = table_.by_pid(pid);
    if (found == nullptr) {
        // As PID 1 of a container the master inherits whatever the application left behind.
        return log(kDebug, "Reaped process " + std::to_string(pid) + ", which is no worker");
    }
    const Worker worker = *found;
    table_.remove(worker.slot);
    const bool fails = fails_trial(worker);
    report_death(worker, status, fails);
    const bool running = phase_ == Phase::kRunning || phase_ == Phase::kReloading;
    if (running && !worker.asked() && !ever_ready_ && exited_with(status, kWorkerBootError)) {
        return stop_all(PhaseInput::kStop, kWorkerBootError, "Worker failed to boot.");
    }
    if (running && !worker.asked() && !ever_ready_ && exited_with(status, kAppLoadError)) {
        return stop_all(PhaseInput::kStop, kAppLoadError, "App failed to load.");
    }
    if (fails) give_up(cause(worker, status));
    act(ActionKind::kChildExit).pid = pid;
    if (running) count_failure(worker, status);
}

void Supervisor::report_death(const Worker& worker, int status, bool fails_reload) {
    Death death = explain(worker, status);
    if (fails_reload) {
        const std::string who = "the new worker (pid:" + std::to_string(worker.pid) + ") ";
        death = {kError, reload_failure(who + cause(worker, status))};
    }
    if (death.level == 0) return;
    Action& action = act(ActionKind::kDeath);
    action.pid = worker.pid;
    action.status = status;
    action.number = death.level;
    action.text = std::move(death.text);
}

void Supervisor::count_failure(const Worker& worker, int status) {
    // Once it served, only its own faults count: whoever kills workers gets them back at once.
    const bool killed = worker.reason == Reason::kNone && ended_by_others(status);
    const bool failed = worker.ready_ms == 0 || !(ended_well(status) || killed);
    if (worker.asked() || !failed) return;
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
    begin_trial(options);
    if (std::exchange(reload_again_, false)) request_reload();
}

void Supervisor::on_reload_failed() {
    if (next(phase_, PhaseInput::kAnswer) == Phase::kRefused) return;
    phase_ = Phase::kRunning;
    reload_failed_ = true;
    announced_ = 0;  // whoever waits for the reload is told that the old workers serve
    if (std::exchange(reload_again_, false)) request_reload();
}

// --- The number of workers -------------------------------------------------------------------

uint32_t Supervisor::allowed_target(uint32_t wanted) {
    if (wanted <= target_max_) return wanted;
    log(kWarning, "More than " + std::to_string(target_max_) + " workers are not supported");
    return target_max_;
}

// Silent: after a reload the shell has called the hook already, before the others.
void Supervisor::set_target(uint32_t target) {
    target_ = target;
    peak_target_ = std::max(peak_target_, target_);
}

// meanwhile: the number to keep as long as a new generation is on trial.
void Supervisor::change_target(uint32_t wanted, uint32_t meanwhile) {
    const uint32_t previous = std::exchange(wanted_, allowed_target(wanted));
    set_target(on_trial() ? std::min(meanwhile, target_max_) : wanted_);
    if (wanted_ == previous) return;
    Action& action = act(ActionKind::kWorkersChanged);
    action.count = wanted_;
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

// Who has never served has nothing to finish, and its process may be in the way of the next one:
// C code in an import can hear no TERM. (In a stop nobody waits for its place.)
int64_t Supervisor::grace_ms(const Worker& worker) const {
    const int64_t grace_ms = options_.graceful_timeout_ms;
    const bool unserved = worker.ready_ms == 0 && worker.reason != Reason::kStop;
    return unserved ? std::min(grace_ms, kUnservedGraceMs) : grace_ms;
}

void Supervisor::stop_worker(Worker& worker, int number) {
    const State state = next(worker.state, StateInput::kTerm);
    if (state == State::kRefused) return;
    const bool already = worker.state == State::kRetiring;
    worker.state = state;
    if (!already) worker.deadline_ms = now_ms_ + grace_ms(worker);
    send_signal(worker.pid, number);
}

void Supervisor::kill_worker(Worker& worker, const std::string& why) {
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
