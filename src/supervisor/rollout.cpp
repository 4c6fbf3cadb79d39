#include "supervisor/rollout.hpp"

#include <algorithm>
#include <utility>

namespace mono::supervisor {
namespace {

bool any_outdated(const Pools& pools, uint32_t generation) {
    return std::ranges::any_of(
        pools, [generation](const Pool& pool) { return pool.table().outdated(generation) > 0; });
}

// Of a pool that a new configuration does not name any more, nobody is wanted.
Options helper_options(const Options& options, size_t index) {
    Options none;
    none.workers = 0;
    return index < options.helpers.size() ? options.helpers[index] : none;
}

}  // namespace

void Rollout::begin(const Options& options, Pools& pools, Step& step) {
    pools.front().begin(options, step);
    for (size_t at = 1; at < pools.size(); ++at)
        pools[at].begin(helper_options(options, at - 1), step);
    step.generation = ++last_generation_;
    began_ms_ = asked_ms_;
    progress_said_ = 0;
    // With nobody serving there is nothing to protect: the newest configuration is the best guess.
    const bool nobody =
        std::ranges::all_of(pools, [](const Pool& pool) { return pool.table().serving() == 0; });
    if (nobody) commit(pools, step);
}

void Rollout::refuse() {
    reload_failed_ = true;
    announced_ = 0;  // whoever waits for the reload is told that the old workers serve
}

void Rollout::judge(Pools& pools, Step& step) {
    if (!step.on_trial() || step.phase != Phase::kRunning) return;
    const bool proven = std::ranges::all_of(
        pools, [&step](const Pool& pool) { return pool.proves(step.generation); });
    if (proven) commit(pools, step);
}

void Rollout::commit(Pools& pools, Step& step) {
    step.proven = step.generation;
    reload_failed_ = false;
    for (Pool& pool : pools) pool.commit();
    step.act(ActionKind::kCommit).generation = step.generation;
}

// While the configuration is read once more it does not: whatever comes out of that, another worker
// is tried.
bool Rollout::fails(const Worker& worker, const Step& step) {
    return step.on_trial() && step.phase == Phase::kRunning &&
           worker.generation == step.generation && worker.ready_ms == 0 && !worker.asked();
}

std::string Rollout::failure(const std::string& why, const Pools& pools) {
    return "The reload failed: " + why + ". " + std::to_string(pools.front().table().serving()) +
           " workers of the old generation go on serving. Put it right and send HUP again.";
}

void Rollout::give_up(const std::string& why, Pools& pools, Step& step) {
    step.generation = step.proven;
    began_ms_ = Timing::kNever;
    announced_ = step.proven;  // the shell says that the old workers serve
    reload_failed_ = true;
    for (Pool& pool : pools) pool.go_back();
    Action& action = step.act(ActionKind::kRollBack);
    action.generation = step.generation;
    action.text = why;
}

void Rollout::announce_ready(const Pools& pools, Step& step) {
    if (announced_ == step.generation || step.phase != Phase::kRunning || step.on_trial()) return;
    if (any_outdated(pools, step.generation) && announced_ != 0) return;
    const bool enough = std::ranges::all_of(
        pools, [](const Pool& pool) { return pool.table().serving() >= pool.target(); });
    if (!enough) return;
    announced_ = step.generation;
    step.act(ActionKind::kReady).generation = step.generation;
}

// How far a reload is, and how long it took: whoever deploys waits for it.
void Rollout::report_progress(const Pools& pools, Step& step) {
    if (began_ms_ == Timing::kNever || step.on_trial() || step.phase != Phase::kRunning) return;
    uint32_t done = 0;
    uint32_t target = 0;
    for (const Pool& pool : pools) {
        done += pool.table().serving(step.generation);
        target += pool.target();
    }
    if (done >= target && !any_outdated(pools, step.generation)) {
        const int64_t took_ms = step.now_ms - std::exchange(began_ms_, Timing::kNever);
        const std::string seconds =
            std::to_string(took_ms / 1'000) + "." + std::to_string(took_ms % 1'000 / 100);
        return step.log(kInfo, "Reload: all " + std::to_string(done) + " workers replaced in " +
                                   seconds + " s");
    }
    const bool soon = progress_said_ != 0 && step.now_ms - progress_said_ms_ < Timing::kProgressMs;
    if (done <= progress_said_ || soon) return;
    progress_said_ = done;
    progress_said_ms_ = step.now_ms;
    step.log(kInfo, "Reload: " + std::to_string(done) + " of " + std::to_string(target) +
                        " workers replaced");
}

}  // namespace mono::supervisor
