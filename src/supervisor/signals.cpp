// What the supervisor does with the signals that the master gets.
#include <algorithm>
#include <csignal>
#include <utility>

#include "supervisor/death.hpp"
#include "supervisor/supervisor.hpp"

namespace mono::supervisor {

void Supervisor::on_signal(int number) {
    if (stopping(phase_)) return on_signal_while_stopping(number);
    if (phase_ == Phase::kIdle) return;
    log(number == SIGCHLD ? kDebug : kInfo, "Handling signal: " + short_signal_name(number));
    switch (number) {
        case SIGTERM:
            return stop_all(PhaseInput::kStop, 0, "");
        case SIGINT:
        case SIGQUIT:
            return stop_all(PhaseInput::kQuit, 0, "");
        case SIGHUP:
            return request_reload();
        case SIGTTIN:
            return change_target(wanted_ + 1, target_ + 1);
        case SIGTTOU:
            if (wanted_ > 1) change_target(wanted_ - 1, std::max(target_, 2U) - 1);
            return;
        case SIGUSR1:
            act(ActionKind::kReopenLogs);
            return signal_all(SIGUSR1);
        case SIGUSR2:
            return request_reexec();
        case SIGWINCH:
            return on_winch();
        default:
            return;  // CHLD: the shell reaps after every wake-up
    }
}

void Supervisor::on_signal_while_stopping(int number) {
    if (number == SIGINT || number == SIGQUIT) return shorten_stop(number);
    if (number == SIGCHLD) return;
    log(kDebug, "Ignoring signal: " + short_signal_name(number) + ", the server stops");
}

void Supervisor::request_reload() {
    if (next(phase_, PhaseInput::kReload) == Phase::kRefused) {
        reload_again_ = true;
        return;
    }
    phase_ = Phase::kReloading;
    asked_ms_ = now_ms_;
    act(ActionKind::kReload);
}

void Supervisor::request_reexec() {
    if (reexec_pid_ != 0 || reexec_asked_) {
        return log(kWarning, "USR2 ignored: a new master is running already");
    }
    if (options_.unpromoted) {
        return log(kWarning, "USR2 ignored: the master that started this one still runs");
    }
    reexec_asked_ = true;
    act(ActionKind::kReexec);
}

void Supervisor::on_winch() {
    if (!options_.daemon) return log(kDebug, "WINCH ignored: not daemonized");
    change_target(0, 0);
}

// From Running or Reloading, which both allow it.
void Supervisor::stop_all(PhaseInput input, int code, std::string reason) {
    phase_ = next(phase_, input);
    exit_code_ = code;
    exit_reason_ = std::move(reason);
    stop_deadline_ms_ = now_ms_ + options_.graceful_timeout_ms;
    act(ActionKind::kCloseListeners);
    const int number = phase_ == Phase::kQuitting ? SIGQUIT : SIGTERM;
    for (Worker& worker : table_.all()) {
        if (worker.state == State::kForking) {
            worker.doomed = true;
            worker.reason = Reason::kStop;
            continue;
        }
        const bool told = worker.state == State::kRetiring && number == SIGTERM && !worker.left();
        if (worker.reason == Reason::kNone) worker.reason = Reason::kStop;
        if (!told) stop_worker(worker, number);
        // One deadline for all; a worker told earlier keeps no more than it had.
        worker.deadline_ms = std::min(worker.deadline_ms, stop_deadline_ms_);
    }
}

void Supervisor::shorten_stop(int number) {
    log(kInfo, "Handling signal: " + short_signal_name(number) + ", stopping quickly");
    phase_ = next(phase_, PhaseInput::kQuit);
    stop_deadline_ms_ = std::min(stop_deadline_ms_, now_ms_ + kShortenedMs);
    for (Worker& worker : table_.all()) {
        if (worker.state == State::kForking) continue;
        stop_worker(worker, SIGQUIT);
        worker.deadline_ms = std::min(worker.deadline_ms, stop_deadline_ms_);
    }
}

}  // namespace mono::supervisor
