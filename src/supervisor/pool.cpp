#include "supervisor/pool.hpp"

#include <algorithm>
#include <csignal>
#include <utility>

#include "supervisor/death.hpp"
#include "supervisor/ending.hpp"

namespace mono::supervisor {

Pool::Pool(Kind kind, const Options& options, uint32_t slots, uint32_t first_slot)
    : kind_(kind),
      options_(options),
      target_max_(slots / 2),
      wanted_(std::min(options.workers, target_max_)),
      target_(wanted_),
      peak_target_(target_),
      table_(slots, first_slot) {}

// --- The number of workers -------------------------------------------------------------------

// At least one, as the canary is: or nothing would ever move.
uint32_t Pool::surge() const { return std::max(std::min(options_.max_surge, target_), 1U); }

uint32_t Pool::allowed_target(uint32_t wanted, Step& step) const {
    if (wanted <= target_max_) return wanted;
    step.log(kWarning, "More than " + std::to_string(target_max_) + " workers are not supported");
    return target_max_;
}

// Silent: after a reload the shell has called the hook already, before the others.
void Pool::set_target(uint32_t target) {
    target_ = target;
    peak_target_ = std::max(peak_target_, target_);
}

bool Pool::change_target(uint32_t wanted, uint32_t meanwhile, Step& step) {
    const uint32_t previous = std::exchange(wanted_, allowed_target(wanted, step));
    set_target(step.on_trial() ? std::min(meanwhile, target_max_) : wanted_);
    return wanted_ != previous;
}

// --- A new configuration ---------------------------------------------------------------------

void Pool::begin(const Options& options, Step& step) {
    if (!step.on_trial()) proven_options_ = options_;
    options_ = options;
    backoff_.reset();
    wanted_ = allowed_target(options.workers, step);
}

bool Pool::proves(uint32_t generation) const {
    return wanted_ == 0 || std::ranges::any_of(table_.all(), [generation](const Worker& worker) {
               return worker.generation == generation && worker.ready_ms != 0;
           });
}

void Pool::commit() { set_target(wanted_); }

void Pool::go_back() { options_ = proven_options_; }

// --- Answers ---------------------------------------------------------------------------------

void Pool::forked(Worker& worker, int pid, Step& step) {
    worker.pid = pid;
    worker.forked_ms = step.now_ms;
    worker.state = next(worker.state, StateInput::kForked);
    if (!worker.doomed) return;
    worker.doomed = false;
    stop_worker(worker, step.phase == Phase::kQuitting ? SIGQUIT : SIGTERM, options_, step);
}

void Pool::fork_failed(uint32_t slot, const Step& step) {
    table_.remove(slot);
    backoff_.fork_failed(step.now_ms);
}

void Pool::count_failure(const Worker& worker, int status, Step& step) {
    // Once it served, only its own faults count: whoever kills workers gets them back at once.
    const bool killed = worker.reason == Reason::kNone && ended_by_others(status);
    const bool failed = worker.ready_ms == 0 || !(ended_well(status) || killed);
    if (worker.asked() || !failed) return;
    const int64_t served_ms = worker.ready_ms == 0 ? 0 : step.now_ms - worker.ready_ms;
    if (backoff_.fail(worker.round, served_ms, step.now_ms) && !backoff_.open(step.now_ms)) {
        step.log(kWarning, "Workers keep failing: the next one starts in " +
                               std::to_string(backoff_.open_at_ms() - step.now_ms) + " ms");
    }
}

// --- Each step -------------------------------------------------------------------------------

void Pool::look_after(bool heartbeats, Step& step) {
    if (heartbeats) watch_.check_heartbeats(table_, options_, step);
    watch_.abort_stuck(table_, step);
    watch_.kill_overdue(table_, step);
    if (step.running()) backoff_.calm(step.now_ms, table_.serving() > 0);
}

void Pool::note_calm() {
    if (table_.size() <= target_) peak_target_ = target_;
}

void Pool::manage(Step& step) {
    if (step.on_trial()) retire_superseded(step);
    watch_.mark_stuck(table_, step);
    watch_.mark_memory(table_, options_, step);
    retire_surplus(step);
    if (!step.on_trial()) retire_outdated(step);
    fork_missing(step);
}

int64_t Pool::wake_ms(const Step& step) const {
    int64_t wake = Timing::kNever;
    for (const Worker& worker : table_.all())
        wake = std::min(wake, watch_.wake_ms(worker, options_, step));
    const bool waits_for_backoff =
        step.phase == Phase::kRunning && wants_fork(step) && !backoff_.open(step.now_ms);
    return waits_for_backoff ? std::min(wake, backoff_.open_at_ms()) : wake;
}

// --- Too many --------------------------------------------------------------------------------

// The canary of a trial that the next HUP cut short.
void Pool::retire_superseded(Step& step) {
    for (Worker& worker : table_.all()) {
        const bool unproven =
            worker.generation > step.proven && worker.generation != step.generation;
        if (!unproven || !worker.active() || worker.state == State::kServing) continue;
        retire(worker, Reason::kReplaced, options_, step);
    }
}

// Serving workers go oldest first, but never so many that too few serve: then those that still
// boot go, youngest first. (TTIN and TTOU in a row must not trade a serving worker for a booting.)
// During a trial the old ones are counted: it may have come in the middle of a rollout.
void Pool::retire_surplus(Step& step) {
    const auto counts = [&step](const Worker& worker) {
        if (!worker.active()) return false;
        return step.on_trial() ? worker.generation != step.generation
                               : worker.fresh(step.generation);
    };
    auto& workers = table_.all();
    auto number = static_cast<uint32_t>(std::ranges::count_if(workers, counts));
    uint32_t serving = table_.serving();
    for (Worker& worker : workers) {
        if (number <= target_ || serving <= target_) break;
        if (!counts(worker) || worker.state != State::kServing) continue;
        retire(worker, Reason::kSurplus, options_, step);
        --number;
        --serving;
    }
    for (auto worker = workers.rbegin(); worker != workers.rend() && number > target_; ++worker) {
        if (!counts(*worker) || worker->state == State::kServing) continue;
        retire(*worker, Reason::kSurplus, options_, step);
        --number;
    }
}

// Older generations: those that never served go at once, the others, oldest first, as soon as
// those that stay serve in the wanted number, or in as many as have to. Marked workers wait for
// the wanted number in any case.
void Pool::retire_outdated(Step& step) {
    const uint32_t spared = std::min(options_.max_unavailable, target_);
    uint32_t serving = table_.serving();
    for (Worker& worker : table_.all()) {
        if (!worker.active() || worker.fresh(step.generation)) continue;
        const bool older = worker.generation != step.generation;
        if (worker.state != State::kServing) {
            retire(worker, Reason::kReplaced, options_, step);
        } else if (serving > (older ? target_ - spared : target_)) {
            retire(worker, older ? Reason::kReplaced : worker.marked, options_, step);
            --serving;
        }
    }
}

// --- Too few ---------------------------------------------------------------------------------

bool Pool::wants_fork(const Step& step) const {
    // A worker that was aborted still holds its memory and its place until it is reaped.
    const auto leaving = static_cast<uint32_t>(std::ranges::count_if(
        table_.all(), [&step](const Worker& worker) { return leaves_just_now(worker, step); }));
    const uint32_t held = table_.active() + table_.ending() + leaving;
    // In a trial: where the new generation has not served yet, one of it is to.
    if (step.on_trial()) return held < target_ || (wanted_ > 0 && !table_.any(step.generation));
    if (table_.fresh(step.generation) + table_.ending() + leaving >= target_) return false;
    return held < target_ || table_.size() < target_ + surge();
}

void Pool::fork_missing(Step& step) {
    // While the configuration is read anew nobody can say of which generation a worker would be.
    if (step.phase != Phase::kRunning) return;
    // Processes on their way out may be as many as those that serve, never more: a storm of TTIN
    // and TTOU, or of HUP, over workers that drain slowly cannot fill the machine.
    // (A pool that was empty has a canary all the same: nothing else would prove it.)
    const uint32_t canary = step.on_trial() && wanted_ > 0 ? 1 : 0;
    const uint32_t processes_max = std::max(2 * peak_target_, canary);
    while (wants_fork(step) && table_.size() < processes_max && backoff_.open(step.now_ms)) {
        Worker* worker = table_.add(step.generation);
        if (worker == nullptr) return;
        worker->round = backoff_.round();
        worker->forked_ms = step.now_ms;
        Action& action = step.act(ActionKind::kFork);
        action.pool = kind_;
        action.slot = worker->slot;
        action.age = worker->age;
        action.generation = worker->generation;
    }
}

}  // namespace mono::supervisor
