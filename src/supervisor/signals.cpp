// What the supervisor does with the signals that the master gets.
#include <algorithm>
#include <csignal>

#include "supervisor/death.hpp"
#include "supervisor/supervisor.hpp"

namespace mono::supervisor {
namespace {

void signal_all(int number, const Pools& pools, Step& step) {
    for (const Pool& pool : pools) {
        for (const Worker& worker : pool.table().all()) {
            if (worker.pid > 0) step.send_signal(worker.pid, number);
        }
    }
}

}  // namespace

void Supervisor::on_signal(int number) {
    if (stopping(step_.phase)) return on_signal_while_stopping(number);
    if (step_.phase == Phase::kIdle) return;
    step_.log(number == SIGCHLD ? kDebug : kInfo, "Handling signal: " + short_signal_name(number));
    switch (number) {
        case SIGTERM:
            return stop_.begin(PhaseInput::kStop, 0, "", pools_, step_);
        case SIGINT:
        case SIGQUIT:
            return stop_.begin(PhaseInput::kQuit, 0, "", pools_, step_);
        case SIGHUP:
            return request_reload();
        case SIGTTIN:
            return change_target(wanted() + 1, target() + 1);
        case SIGTTOU:
            if (wanted() > 1) change_target(wanted() - 1, std::max(target(), 2U) - 1);
            return;
        case SIGUSR1:
            step_.act(ActionKind::kReopenLogs);
            return signal_all(SIGUSR1, pools_, step_);
        case SIGUSR2:
            return upgrade_.request(step_);
        case SIGWINCH:
            return on_winch();
        default:
            return;  // CHLD: the shell reaps after every wake-up
    }
}

void Supervisor::on_signal_while_stopping(int number) {
    if (number == SIGINT || number == SIGQUIT) return stop_.shorten(number, pools_, step_);
    if (number == SIGCHLD) return;
    step_.log(kDebug, "Ignoring signal: " + short_signal_name(number) + ", the server stops");
}

void Supervisor::request_reload() {
    if (next(step_.phase, PhaseInput::kReload) == Phase::kRefused) {
        reload_again_ = true;
        return;
    }
    step_.phase = Phase::kReloading;
    rollout_.asked(step_.now_ms);
    step_.act(ActionKind::kReload);
}

void Supervisor::on_winch() {
    if (!options().daemon) return step_.log(kDebug, "WINCH ignored: not daemonized");
    change_target(0, 0);
}

}  // namespace mono::supervisor
