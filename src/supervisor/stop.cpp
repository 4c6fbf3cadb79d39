#include "supervisor/stop.hpp"

#include <algorithm>
#include <csignal>
#include <utility>

#include "supervisor/death.hpp"
#include "supervisor/ending.hpp"

namespace mono::supervisor {
namespace {

void tell(Worker& worker, int number, const Options& options, Step& step) {
    if (worker.state == State::kForking) {
        worker.doomed = true;
        worker.reason = Reason::kStop;
        return;
    }
    const bool told = worker.state == State::kRetiring && number == SIGTERM && !worker.left();
    if (worker.reason == Reason::kNone) worker.reason = Reason::kStop;
    if (!told) stop_worker(worker, number, options, step);
    // One deadline for all; a worker told earlier keeps no more than it had.
    worker.deadline_ms = std::min(worker.deadline_ms, step.stop_deadline_ms);
}

uint32_t living(const Pools& pools) {
    uint32_t sum = 0;
    for (const Pool& pool : pools) sum += pool.table().size();
    return sum;
}

}  // namespace

void Stop::begin(PhaseInput input, int code, std::string reason, Pools& pools, Step& step) {
    step.phase = next(step.phase, input);
    exit_code_ = code;
    exit_reason_ = std::move(reason);
    step.stop_deadline_ms = step.now_ms + pools.front().options().graceful_timeout_ms;
    step.act(ActionKind::kCloseListeners);
    const int number = step.phase == Phase::kQuitting ? SIGQUIT : SIGTERM;
    for (Pool& pool : pools) {
        for (Worker& worker : pool.table().all()) tell(worker, number, pool.options(), step);
    }
}

void Stop::shorten(int number, Pools& pools, Step& step) {
    step.log(kInfo, "Handling signal: " + short_signal_name(number) + ", stopping quickly");
    step.phase = next(step.phase, PhaseInput::kQuit);
    step.stop_deadline_ms = std::min(step.stop_deadline_ms, step.now_ms + Timing::kShortenedMs);
    for (Pool& pool : pools) {
        for (Worker& worker : pool.table().all()) {
            if (worker.state == State::kForking) continue;
            stop_worker(worker, SIGQUIT, pool.options(), step);
            worker.deadline_ms = std::min(worker.deadline_ms, step.stop_deadline_ms);
        }
    }
}

void Stop::go_on(Pools& pools, Step& step) {
    if (step.now_ms >= step.stop_deadline_ms && killed_all_) {
        step.log(kError, std::to_string(living(pools)) + " workers could not be killed");
    } else if (step.now_ms >= step.stop_deadline_ms) {
        killed_all_ = true;
        step.stop_deadline_ms = step.now_ms + Timing::kGiveUpMs;
        for (Pool& pool : pools) {
            for (Worker& worker : pool.table().all())
                kill_worker(worker, "did not stop in time", step);
        }
        if (living(pools) > 0) return;
    } else if (living(pools) > 0) {
        return;
    }
    step.phase = next(step.phase, PhaseInput::kEmptied);
    Action& action = step.act(ActionKind::kHalt);
    action.number = exit_code_;
    action.text = exit_reason_;
}

}  // namespace mono::supervisor
