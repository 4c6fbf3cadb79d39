// How many workers there are, and how a new generation takes the place of the old one:
//
//              HUP, configuration good           one of it serves           the last old one is
//              told
//   Settled ---------------------------> Trial ---------------------> Rolling ----------> Settled
//      ^                                 |   ^                          |
//      |   its worker fails: roll back   |   | HUP: the next generation |
//      +---------------------------------+   +--------------------------+
//
// Trial: one worker of the new generation (the canary) beside the old ones, none of which is
// retired for its sake. Rolling: bounded by max_surge and max_unavailable.
#include <algorithm>
#include <csignal>
#include <utility>

#include "supervisor/supervisor.hpp"

namespace mono::supervisor {

void Supervisor::begin_trial(const Options& options) {
    if (!on_trial()) proven_options_ = options_;
    take_options(options);
    generation_ = ++last_generation_;
    backoff_.reset();
    wanted_ = allowed_target(options.workers);
    rollout_began_ms_ = asked_ms_;
    progress_said_ = 0;
    // With nobody serving there is nothing to protect: the newest configuration is the best guess.
    if (table_.serving() == 0) commit();
}

void Supervisor::judge_trial() {
    if (!on_trial() || phase_ != Phase::kRunning) return;
    const bool serves = std::ranges::any_of(table_.all(), [this](const Worker& worker) {
        return worker.generation == generation_ && worker.ready_ms != 0;
    });
    if (serves || wanted_ == 0) commit();
}

void Supervisor::commit() {
    proven_ = generation_;
    reload_failed_ = false;
    set_target(wanted_);
    act(ActionKind::kCommit).generation = generation_;
}

// The end of this worker ends the trial. While the configuration is read once more it does not:
// whatever comes out of that, another worker is tried.
bool Supervisor::fails_trial(const Worker& worker) const {
    return on_trial() && phase_ == Phase::kRunning && worker.generation == generation_ &&
           worker.ready_ms == 0 && !worker.asked();
}

std::string Supervisor::reload_failure(const std::string& why) const {
    return "The reload failed: " + why + ". " + std::to_string(table_.serving()) +
           " workers of the old generation go on serving. Put it right and send HUP again.";
}

void Supervisor::give_up(const std::string& why) {
    generation_ = proven_;
    rollout_began_ms_ = kNever;
    announced_ = proven_;  // the shell says that the old workers serve
    reload_failed_ = true;
    take_options(proven_options_);
    Action& action = act(ActionKind::kRollBack);
    action.generation = generation_;
    action.text = why;
    change_target(target_, target_);
}

// --- Too many -------------------------------------------------------------------------------

void Supervisor::manage() {
    if (table_.size() <= target_) peak_target_ = target_;
    judge_trial();
    if (on_trial()) retire_superseded();
    mark_stuck();
    mark_memory();
    retire_surplus();
    if (!on_trial()) retire_outdated();
    fork_missing();
}

// The canary of a trial that the next HUP cut short.
void Supervisor::retire_superseded() {
    for (Worker& worker : table_.all()) {
        const bool unproven = worker.generation > proven_ && worker.generation != generation_;
        if (!unproven || !worker.active() || worker.state == State::kServing) continue;
        retire(worker, Reason::kReplaced);
    }
}

// Serving workers go oldest first, but never so many that too few serve: then those that still
// boot go, youngest first. (TTIN and TTOU in a row must not trade a serving worker for a booting.)
// During a trial the old ones are counted: it may have come in the middle of a rollout.
void Supervisor::retire_surplus() {
    const auto counts = [this](const Worker& worker) {
        if (!worker.active()) return false;
        return on_trial() ? worker.generation != generation_ : worker.fresh(generation_);
    };
    auto& workers = table_.all();
    auto number = static_cast<uint32_t>(std::ranges::count_if(workers, counts));
    uint32_t serving = table_.serving();
    for (Worker& worker : workers) {
        if (number <= target_ || serving <= target_) break;
        if (!counts(worker) || worker.state != State::kServing) continue;
        retire(worker, Reason::kSurplus);
        --number;
        --serving;
    }
    for (auto worker = workers.rbegin(); worker != workers.rend() && number > target_; ++worker) {
        if (!counts(*worker) || worker->state == State::kServing) continue;
        retire(*worker, Reason::kSurplus);
        --number;
    }
}

// Older generations: those that never served go at once, the others, oldest first, as soon as
// those that stay serve in the wanted number, or in as many as have to. Marked workers wait for
// the wanted number in any case.
void Supervisor::retire_outdated() {
    const uint32_t spared = std::min(options_.max_unavailable, target_);
    uint32_t serving = table_.serving();
    for (Worker& worker : table_.all()) {
        if (!worker.active() || worker.fresh(generation_)) continue;
        const bool older = worker.generation != generation_;
        if (worker.state != State::kServing) {
            retire(worker, Reason::kReplaced);
        } else if (serving > (older ? target_ - spared : target_)) {
            retire(worker, older ? Reason::kReplaced : worker.marked);
            --serving;
        }
    }
}

// --- Too few --------------------------------------------------------------------------------

// At least one, as the canary is: or nothing would ever move.
uint32_t Supervisor::surge() const { return std::max(std::min(options_.max_surge, target_), 1U); }

bool Supervisor::wants_fork() const {
    // A worker that was aborted still holds its memory and its place until it is reaped.
    const auto leaving = static_cast<uint32_t>(std::ranges::count_if(
        table_.all(), [this](const Worker& worker) { return leaves_just_now(worker); }));
    const uint32_t held = table_.active() + table_.ending() + leaving;
    if (on_trial()) return held < target_ || !table_.any(generation_);
    if (table_.fresh(generation_) + table_.ending() + leaving >= target_) return false;
    return held < target_ || table_.size() < target_ + surge();
}

void Supervisor::fork_missing() {
    // While the configuration is read anew nobody can say of which generation a worker would be.
    if (phase_ != Phase::kRunning) return;
    // Processes on their way out may be as many as those that serve, never more: a storm of TTIN
    // and TTOU, or of HUP, over workers that drain slowly cannot fill the machine.
    const uint32_t processes_max = 2 * peak_target_;
    while (wants_fork() && table_.size() < processes_max && backoff_.open(now_ms_)) {
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

void Supervisor::announce_ready() {
    if (announced_ == generation_ || phase_ != Phase::kRunning || on_trial()) return;
    if (table_.outdated(generation_) > 0 && announced_ != 0) return;
    if (table_.serving() < target_) return;
    announced_ = generation_;
    act(ActionKind::kReady).generation = generation_;
}

// How far a reload is, and how long it took: whoever deploys waits for it.
void Supervisor::report_progress() {
    if (rollout_began_ms_ == kNever || on_trial() || phase_ != Phase::kRunning) return;
    const auto done =
        static_cast<uint32_t>(std::ranges::count_if(table_.all(), [this](const Worker& worker) {
            return worker.state == State::kServing && worker.generation == generation_;
        }));
    if (done >= target_ && table_.outdated(generation_) == 0) {
        const int64_t took_ms = now_ms_ - std::exchange(rollout_began_ms_, kNever);
        const std::string seconds =
            std::to_string(took_ms / 1'000) + "." + std::to_string(took_ms % 1'000 / 100);
        return log(kInfo, "Reload: all " + std::to_string(done) + " workers replaced in " +
                              seconds + " s");
    }
    const bool soon = progress_said_ != 0 && now_ms_ - progress_said_ms_ < kProgressMs;
    if (done <= progress_said_ || soon) return;
    progress_said_ = done;
    progress_said_ms_ = now_ms_;
    log(kInfo,
        "Reload: " + std::to_string(done) + " of " + std::to_string(target_) + " workers replaced");
}

void Supervisor::take_options(const Options& options) {
    const bool unpromoted = options_.unpromoted;  // no matter of configuration
    options_ = options;
    options_.unpromoted = unpromoted;
}

}  // namespace mono::supervisor
