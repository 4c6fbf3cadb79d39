// The steps of the supervisor. Signals are in signals.cpp; what is done to the workers of a pool is
// in pool.cpp and watch.cpp.
#include "supervisor/supervisor.hpp"

#include <algorithm>
#include <utility>

#include "supervisor/death.hpp"

namespace mono::supervisor {
namespace {

// The pool that has a worker in this slot, or with this pid; nullptr: none has.
Pool* pool_of_slot(Pools& pools, uint32_t slot) {
    const auto found = std::ranges::find_if(
        pools, [slot](Pool& pool) { return pool.table().by_slot(slot) != nullptr; });
    return found == pools.end() ? nullptr : &*found;
}

Pool* pool_of_pid(Pools& pools, int pid) {
    const auto found = std::ranges::find_if(
        pools, [pid](Pool& pool) { return pool.table().by_pid(pid) != nullptr; });
    return found == pools.end() ? nullptr : &*found;
}

}  // namespace

Supervisor::Supervisor(const Options& options, uint32_t slots) : upgrade_(options.unpromoted) {
    const auto helpers = static_cast<uint32_t>(options.helpers.size());
    uint32_t first_slot = slots - std::min(slots, helpers * kHelperSlots);
    pools_.emplace_back(Kind::kWorker, options, first_slot, 0);
    for (const Options& helper : options.helpers) {
        pools_.emplace_back(Kind::kHelper, helper, std::min(kHelperSlots, slots - first_slot),
                            first_slot);
        first_slot = std::min(slots, first_slot + kHelperSlots);
    }
}

void Supervisor::step(const Event& event, Actions& out) {
    if (step_.phase == Phase::kHalted) return;
    step_.out = &out;
    const int64_t last_ms = std::exchange(step_.now_ms, std::max(step_.now_ms, event.now_ms));
    notice_stall(last_ms);
    take_samples(event);
    rollout_.judge(pools_, step_);
    dispatch(event);
    if (step_.running()) {
        for (Pool& pool : pools_) pool.look_after(event.kind == EventKind::kTick, step_);
        for (Pool& pool : pools_) pool.note_calm();
        rollout_.judge(pools_, step_);
        for (Pool& pool : pools_) pool.manage(step_);
        rollout_.report_progress(pools_, step_);
        rollout_.announce_ready(pools_, step_);
    } else if (stopping(step_.phase)) {
        for (Pool& pool : pools_) pool.look_after(false, step_);
        stop_.go_on(pools_, step_);
    }
    wake_at_ms_ = compute_wake();
    step_.out = nullptr;
}

void Supervisor::dispatch(const Event& event) {
    switch (event.kind) {
        case EventKind::kStart:
            if (next(step_.phase, PhaseInput::kStart) != Phase::kRefused)
                step_.phase = Phase::kRunning;
            break;
        case EventKind::kTick:
            break;
        case EventKind::kSignal:
            on_signal(event.number);
            break;
        case EventKind::kForked:
            if (Pool* pool = pool_of_slot(pools_, event.slot)) {
                Worker* worker = pool->table().by_slot(event.slot);
                if (worker->state == State::kForking) pool->forked(*worker, event.pid, step_);
            }
            break;
        case EventKind::kForkFailed:
            on_fork_failed(event);
            break;
        case EventKind::kExited:
            on_exited(event.pid, event.number);
            break;
        case EventKind::kReloaded:
        case EventKind::kReloadFailed:
            on_reloaded(event);
            break;
        case EventKind::kReexecForked:
            upgrade_.answered(event.pid);
            break;
        case EventKind::kReexecFailed:
            upgrade_.answered(0);
            break;
        case EventKind::kPromoted:
            upgrade_.promoted();
            break;
        case EventKind::kSetWorkers:
            if (!stopping(step_.phase)) {
                const auto wanted = static_cast<uint32_t>(std::max(event.number, 0));
                change_target(wanted, wanted);
            }
            break;
    }
}

// --- What every step looks at ----------------------------------------------------------------

// A master that did not run (a paused machine, SIGSTOP, a hook that took minutes) cannot judge
// its workers: they may have been paused with it. Everybody gets the lost time back.
void Supervisor::notice_stall(int64_t last_ms) {
    if (wake_at_ms_ == kNever || step_.now_ms - wake_at_ms_ <= kStallMs) return;
    const int64_t lost_ms = step_.now_ms - last_ms;
    step_.grace_ms = step_.now_ms;
    for (Pool& pool : pools_) pool.watch().give_back(pool.table(), lost_ms);
    if (step_.stop_deadline_ms != kNever) step_.stop_deadline_ms += lost_ms;
    step_.log(kWarning, "The master did not run for " + std::to_string(lost_ms / 1'000) +
                            " s; workers get that time back");
}

bool Supervisor::memory_due(int64_t now_ms) const {
    return std::ranges::any_of(pools_, [this, now_ms](const Pool& pool) {
        return pool.watch().memory_due(pool.options(), step_.phase, now_ms);
    });
}

void Supervisor::take_samples(const Event& event) {
    for (Pool& pool : pools_) {
        Watch& watch = pool.watch();
        const bool measured = watch.memory_due(pool.options(), step_.phase, step_.now_ms);
        if (measured) watch.measured(step_);
        for (const Sample& sample : event.samples) {
            Worker* worker = pool.table().by_slot(sample.slot);
            if (worker != nullptr) watch.take(sample, measured, *worker, pool.options(), step_);
        }
    }
}

bool Supervisor::rolling() const {
    return !on_trial() && std::ranges::any_of(pools_, [this](const Pool& pool) {
        return pool.table().outdated(step_.generation) > 0;
    });
}

int64_t Supervisor::compute_wake() const {
    if (step_.phase == Phase::kIdle || step_.phase == Phase::kHalted) return kNever;
    const bool stops = stopping(step_.phase);
    int64_t wake = stops ? std::min(step_.stop_deadline_ms, step_.now_ms + kPollMs) : kNever;
    for (const Pool& pool : pools_) wake = std::min(wake, pool.wake_ms(step_));
    return wake;
}

// --- Answers to actions ----------------------------------------------------------------------

void Supervisor::on_fork_failed(const Event& event) {
    Pool* pool = pool_of_slot(pools_, event.slot);
    if (pool == nullptr) return;
    const Worker& worker = *pool->table().by_slot(event.slot);
    if (worker.state != State::kForking) return;
    const bool fails = Rollout::fails(worker, step_);
    pool->fork_failed(event.slot, step_);
    if (!fails) return step_.log(kError, "Cannot start a worker: " + event.text);
    const std::string why = "cannot start a worker: " + event.text;
    step_.log(kError, Rollout::failure(why, pools_));
    give_up(why);
}

void Supervisor::on_exited(int pid, int status) {
    if (upgrade_.is(pid)) return upgrade_.exited(ended_well(status), step_);
    Pool* pool = pool_of_pid(pools_, pid);
    if (pool == nullptr) {
        // As PID 1 of a container the master inherits whatever the application left behind.
        return step_.log(kDebug, "Reaped process " + std::to_string(pid) + ", which is no worker");
    }
    const Worker worker = *pool->table().by_pid(pid);
    pool->table().remove(worker.slot);
    const bool fails = Rollout::fails(worker, step_);
    report_death(worker, status, fails);
    const bool running = step_.running();
    const bool hopeless = running && !worker.asked() && !step_.ever_ready;
    if (hopeless && exited_with(status, kWorkerBootError)) {
        return stop_.begin(PhaseInput::kStop, kWorkerBootError, "Worker failed to boot.", pools_,
                           step_);
    }
    if (hopeless && exited_with(status, kAppLoadError)) {
        return stop_.begin(PhaseInput::kStop, kAppLoadError, "App failed to load.", pools_, step_);
    }
    if (fails) give_up(cause(worker, status));
    step_.act(ActionKind::kChildExit).pid = pid;
    if (running) pool->count_failure(worker, status, step_);
}

void Supervisor::report_death(const Worker& worker, int status, bool fails_reload) {
    Death death = explain(worker, status);
    if (fails_reload) {
        const std::string who = "the new worker (pid:" + std::to_string(worker.pid) + ") ";
        death = {kError, Rollout::failure(who + cause(worker, status), pools_)};
    }
    if (death.level == 0) return;
    Action& action = step_.act(ActionKind::kDeath);
    action.pid = worker.pid;
    action.status = status;
    action.number = death.level;
    action.text = std::move(death.text);
}

void Supervisor::on_reloaded(const Event& event) {
    if (next(step_.phase, PhaseInput::kAnswer) == Phase::kRefused) return;  // a stop came first
    step_.phase = Phase::kRunning;
    if (event.kind == EventKind::kReloaded)
        rollout_.begin(event.options, pools_, step_);
    else
        rollout_.refuse();
    if (std::exchange(reload_again_, false)) request_reload();
}

void Supervisor::give_up(const std::string& why) {
    rollout_.give_up(why, pools_, step_);
    for (Pool& pool : pools_) {
        if (&pool != &pools_.front()) pool.change_target(pool.target(), pool.target(), step_);
    }
    change_target(target(), target());
}

void Supervisor::change_target(uint32_t wanted, uint32_t meanwhile) {
    const uint32_t previous = first().wanted();
    if (!pools_.front().change_target(wanted, meanwhile, step_)) return;
    Action& action = step_.act(ActionKind::kWorkersChanged);
    action.count = first().wanted();
    action.previous = previous;
}

}  // namespace mono::supervisor
