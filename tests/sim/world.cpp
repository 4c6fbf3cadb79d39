#include "world.hpp"

#include <algorithm>
#include <csignal>

namespace mono::sim {

using namespace supervisor;

namespace {

constexpr uint32_t kSlots = 128;
constexpr int64_t kHourMs = 3'600'000;
constexpr int64_t kMemoryLimit = 1'000'000;

Climate draw_climate(std::mt19937_64& random) {
    const auto rare = [&random](double often) {
        std::uniform_real_distribution<double> unit(0, 1);
        return unit(random) < 0.5 ? 0.0 : unit(random) * often;
    };
    Climate climate;
    climate.crash = rare(20'000);
    climate.boot_crash = rare(1);
    climate.boot_code = rare(0.3);
    climate.hang = rare(0.3);
    climate.deaf = rare(0.5);
    climate.fork_fails = rare(0.5);
    climate.reload_fails = rare(1);
    climate.late_answers = rare(0.9);
    climate.stall = rare(0.02);
    climate.signal = rare(1);
    climate.fat = rare(0.5);
    climate.stuck = rare(20);
    climate.leave = rare(200);
    climate.linger = rare(1);
    climate.boot_ms = 1 + static_cast<int64_t>(rare(40'000));
    climate.drain_ms = 1 + static_cast<int64_t>(rare(60'000));
    return climate;
}

size_t index(Kind kind) { return kind == Kind::kWorker ? 0 : 1; }

int64_t least_grace_ms(const Options& options) {
    int64_t least = options.graceful_timeout_ms;
    for (const Options& helper : options.helpers)
        least = std::min(least, helper.graceful_timeout_ms);
    return least;
}

}  // namespace

World::World(uint64_t seed)
    : seed_(seed),
      random_(seed),
      climate_(draw_climate(random_)),
      prompt_(climate_.late_answers == 0),
      options_(random_options(Kind::kWorker, true)),
      supervisor_(options_, kSlots),
      now_ms_(between(1, kHourMs)),
      largest_target_(),
      least_graceful_ms_(least_grace_ms(options_)) {}

bool World::chance(double probability) {
    return std::uniform_real_distribution<double>(0, 1)(random_) < probability;
}

int64_t World::between(int64_t low, int64_t high) {
    return std::uniform_int_distribution<int64_t>(low, high)(random_);
}

Options World::random_options(Kind kind, bool at_start) {
    Options options;
    options.workers = static_cast<uint32_t>(chance(0.05) ? 0 : between(1, 9));
    options.timeout_ms = chance(0.2) ? 0 : between(1, 60) * 1'000;
    options.graceful_timeout_ms = chance(0.1) ? 0 : between(1, 40) * 1'000;
    if (chance(0.5)) options.max_surge = static_cast<uint32_t>(between(0, 4));
    if (chance(0.3)) options.max_unavailable = static_cast<uint32_t>(between(0, 3));
    if (chance(0.5)) options.memory_limit_bytes = kMemoryLimit;
    options.lifetime_min_ms = between(0, 120) * 1'000;
    options.watch_requests = chance(0.5);
    options.daemon = chance(0.5);
    options.unpromoted = chance(0.2);
    if (kind == Kind::kHelper) {
        options.workers = static_cast<uint32_t>(between(0, 3));
    } else if (seed_ % 3 == 0 && (at_start || chance(0.9))) {
        // In every third history there are helpers, which a configuration may leave out.
        options.helpers.push_back(random_options(Kind::kHelper, at_start));
    }
    return options;
}

void World::broken(const std::string& what) {
    if (failure_) return;
    failure_ = "seed " + std::to_string(seed_) + ", t=" + std::to_string(now_ms_) + ", after " +
               last_event_ + ": " + what;
}

std::vector<Sample> World::samples() const {
    std::vector<Sample> found;
    for (const auto& [pid, process] : alive_) {
        found.push_back({.slot = process.slot,
                         .beat_ms = process.beat_ms,
                         .ready = process.ready,
                         .memory_bytes = process.fat ? 2 * kMemoryLimit : kMemoryLimit,
                         .in_flight = process.in_flight,
                         .stuck = process.stuck,
                         .withdrawn = process.left,
                         .over = process.over});
    }
    return found;
}

std::optional<std::string> World::run(int steps) {
    give({.kind = EventKind::kStart});
    perform_all(false);
    for (int step = 0; step < steps && !failure_ && !halted_; ++step) {
        advance();
        if (chance(climate_.signal)) random_signal();
        if (chance(0.01)) give({.kind = EventKind::kPromoted});
        if (chance(0.01)) {
            give({.kind = EventKind::kSetWorkers, .number = static_cast<int>(between(-1, 12))});
        }
        if (chance(0.01)) give({.kind = EventKind::kExited, .pid = 77});  // an orphan, as PID 1
        perform_all(false);
        reap();
    }
    if (!failure_) heal();
    if (!failure_ && !halted_) finish();
    return failure_;
}

// Moves the clock to the next thing that happens, at most to the wake-up that was asked for.
void World::advance() {
    if (chance(climate_.stall)) {
        // The machine slept: the clock jumps and nobody has run meanwhile.
        now_ms_ += between(4, 6'000) * 1'000;  // shorter ones pass for a loaded machine
        seen["stall"]++;
        return tick();
    }
    const int64_t wake = supervisor_.wake_at_ms();
    const int64_t idle = now_ms_ + between(0, 5'000);
    const int64_t until = chance(0.7) ? std::min(wake, now_ms_ + 60'000) : std::min(wake, idle);
    live_until(std::max(until, now_ms_));
    // A loaded machine wakes us a little late.
    if (chance(0.2)) live_until(now_ms_ + between(0, 300));
    tick();
}

// What the workers do while the master sleeps.
void World::live_until(int64_t until_ms) {
    const auto hours = static_cast<double>(until_ms - now_ms_) / static_cast<double>(kHourMs);
    std::vector<int> dead;
    for (auto& [pid, process] : alive_) {
        if (!process.ready && !process.hung && process.boots_at_ms <= until_ms) {
            process.ready = true;
            process.beat_ms = std::max(process.beat_ms, process.boots_at_ms);
        }
        if (process.ready && chance(climate_.hang * hours * 60)) process.hung = true;
        if (process.ready && !process.hung && !process.over) process.beat_ms = until_ms;
        leave_perhaps(process, hours);
        if (process.ready && options_.watch_requests && chance(climate_.stuck * hours)) {
            process.stuck++;
            process.in_flight = process.stuck + static_cast<uint32_t>(between(0, 3));
        }
        if (process.told_ran_ms >= 0 && process.in_flight > process.stuck && chance(0.5)) {
            process.in_flight--;
        }
        if (process.ready && chance(climate_.crash * hours)) {
            process.dies_at_ms = until_ms;
            process.status = chance(0.5) ? SIGSEGV : chance(0.5) ? SIGKILL : 256;
        }
        if (process.dies_at_ms <= until_ms) dead.push_back(pid);
    }
    ran_ms_ += until_ms - now_ms_;
    now_ms_ = until_ms;
    for (int pid : dead) {
        zombies_[pid] = alive_[pid].status;
        alive_.erase(pid);
    }
}

// max_requests, a changed file, a TERM from somebody else.
void World::leave_perhaps(Process& process, double hours) {
    if (!process.ready || process.hung || process.left || process.told_ran_ms >= 0) return;
    if (!chance(climate_.leave * hours)) return;
    seen["left"]++;
    process.left = true;
    process.told_ran_ms = ran_ms_;
    process.lingers = chance(climate_.linger);
    process.over = process.lingers;
    if (!process.lingers && process.stuck == 0) {
        process.dies_at_ms = std::min(process.dies_at_ms, now_ms_ + between(1, climate_.drain_ms));
        process.status = 0;
    }
}

void World::tick() {
    give({.kind = EventKind::kTick});
    perform_all(false);
    reap();
}

void World::reap() {
    while (!zombies_.empty() && !failure_) {
        const auto [pid, status] = *zombies_.begin();
        zombies_.erase(pid);
        foreign_.erase(pid);
        terms_.erase(pid);
        give({.kind = EventKind::kExited, .number = status, .pid = pid});
        perform_all(false);
    }
}

void World::give(Event event) {
    event.now_ms = now_ms_;
    event.samples = samples();
    for (const auto& [pid, process] : alive_) {
        uint32_t& newest = newest_served_[process.pool];
        if (process.ready) newest = std::max(newest, process.generation);
    }
    Actions actions;
    last_event_ = "event " + std::to_string(static_cast<int>(event.kind)) + " number " +
                  std::to_string(event.number) + " in " + std::string(name(supervisor_.phase()));
    if (event.kind == EventKind::kSignal) {
        seen["signal " + std::to_string(event.number) + " in " +
             std::string(name(supervisor_.phase()))]++;
    }
    supervisor_.step(event, actions);
    check_after_step(actions);
    todo_.insert(todo_.end(), actions.begin(), actions.end());
}

void World::check_after_step(const Actions& actions) {
    if (halted_ && !actions.empty()) broken("an action after the halt");
    if (supervisor_.phase() == Phase::kHalted) return;
    for (const Pool& pool : supervisor_.pools()) check_pool(pool, actions);
    if (stopping(supervisor_.phase()) && supervisor_.wake_at_ms() == Supervisor::kNever) {
        broken("a stop that waits for ever");
    }
    for (const Action& action : actions) {
        if (action.kind == ActionKind::kCommit) committed_ = action.generation;
        if (action.kind != ActionKind::kRollBack) continue;
        if (action.generation != committed_) broken("rolled back to something that never served");
        if (--trials_ < 0) broken("a second canary failed");
    }
}

void World::check_pool(const Pool& pool, const Actions& actions) {
    const WorkerTable& table = pool.table();
    uint32_t& largest = largest_target_[index(pool.kind())];
    largest = std::max(largest, pool.target());
    if (table.size() > 2 * largest) {
        broken(std::to_string(table.size()) + " processes for a target of at most " +
               std::to_string(largest));
    }
    const uint32_t young = table.fresh(supervisor_.generation());
    const bool settled = supervisor_.phase() == Phase::kRunning && !supervisor_.on_trial();
    if (settled && young > pool.target()) broken("more young workers than wanted");
    for (const Worker& worker : table.all()) {
        if (worker.pid > 0 && !alive_.contains(worker.pid) && !zombies_.contains(worker.pid)) {
            broken("a worker in the table is neither alive nor to be reaped");
        }
    }
    if (supervisor_.phase() == Phase::kRunning) check_rollout(pool, actions);
    if (supervisor_.phase() == Phase::kRunning) check_successors(pool);
    const int64_t wait = pool.backoff().open_at_ms() - now_ms_;
    if (wait > Backoff::kDelayMaxMs) broken("a back-off of " + std::to_string(wait) + " ms");
    const bool missing =
        supervisor_.phase() == Phase::kRunning && pool.target() > 0 && pool.table().all().empty();
    if (missing && supervisor_.wake_at_ms() == Supervisor::kNever) {
        broken("no worker, and nothing will ever start one");
    }
}

void World::check_rollout(const Pool& pool, const Actions& actions) {
    const WorkerTable& table = pool.table();
    bool forked = false;
    for (const Action& action : actions) {
        forked |= action.kind == ActionKind::kFork && action.pool == pool.kind();
        const auto told = alive_.find(action.pid);
        const bool retired = action.kind == ActionKind::kKill && action.number == SIGTERM &&
                             told != alive_.end() && told->second.ready;
        for (const Worker& worker : table.all()) {
            if (retired && worker.pid == action.pid) check_retired(pool, worker);
        }
    }
    const uint32_t held = table.active() + table.ending();
    const uint32_t old = table.outdated(supervisor_.generation());
    if (!forked || held <= pool.target()) return;
    if (supervisor_.on_trial() && table.active() > old + 1) broken("more than one canary");
    const bool rolling = !supervisor_.on_trial() && old > 0;
    if (rolling && table.size() > pool.target() + pool.surge()) {
        broken("more new workers than max_surge allows");
    }
}

// Who takes no more requests is not waited for: others are there, or on their way.
void World::check_successors(const Pool& pool) {
    const WorkerTable& table = pool.table();
    const uint32_t largest = largest_target_[index(pool.kind())];
    const bool may = pool.backoff().open(now_ms_) && table.size() < 2 * largest;
    if (!may || table.ending() > 0 || supervisor_.on_trial()) return;
    uint32_t left = 0;
    for (const Worker& worker : table.all()) {
        left += worker.left() ? 1 : 0;
        if (worker.left() && now_ms_ - worker.left_ms < Supervisor::kLeftPatienceMs) return;
    }
    if (left > 0 && table.active() < pool.target() && table.size() < 2 * pool.target()) {
        broken("a worker that has left is not replaced");
    }
}

// A worker that served was just told to go, and not because of a stop.
void World::check_retired(const Pool& pool, const Worker& worker) {
    const uint32_t target = pool.target();
    const uint32_t spared = supervisor_.on_trial() ? 0 : pool.options().max_unavailable;
    const bool replaced = worker.reason == Reason::kReplaced;
    const Process& process = alive_[worker.pid];
    if (worker.reason == Reason::kMemory) {
        seen["recycled"]++;
        if (!process.fat) broken("a worker that takes little memory is recycled");
        if (now_ms_ - process.forked_ms < pool.options().lifetime_min_ms) {
            broken("a worker is recycled before its time");
        }
    }
    if (worker.reason == Reason::kStuck) {
        seen["stuck"]++;
        if (process.stuck == 0) broken("a worker without stuck requests is retired for them");
    }
    if (pool.table().serving() + spared < target) {
        broken("a serving worker is retired while too few others serve");
    }
    const bool dropped = worker.generation > supervisor_.generation();  // of a failed reload
    if (target > 0 && replaced && !dropped && newest_served_[process.pool] <= worker.generation) {
        broken("an old worker is retired before a new one has served");
    }
}

void World::perform_all(bool everything) {
    while (!todo_.empty() && !failure_) {
        if (!everything && chance(climate_.late_answers)) return;
        const Action action = todo_.front();
        todo_.pop_front();
        perform(action);
    }
}

void World::perform(const Action& action) {
    switch (action.kind) {
        case ActionKind::kFork:
            return do_fork(action);
        case ActionKind::kKill:
            return do_kill(action);
        case ActionKind::kReload:
            return do_reload();
        case ActionKind::kReexec:
            if (chance(0.3)) return give({.kind = EventKind::kReexecFailed});
            foreign_.insert(next_pid_);
            if (chance(0.5)) zombies_[next_pid_] = 256;
            return give({.kind = EventKind::kReexecForked, .pid = next_pid_++});
        case ActionKind::kHalt:
            halted_ = true;
            halt_code_ = action.number;
            if (halt_code_ != 0 && !boot_code_seen_) broken("a halt code that no worker gave");
            if (!todo_.empty()) broken("actions behind the halt");
            seen["halt " + std::to_string(halt_code_)]++;
            return;
        case ActionKind::kWorkersChanged:
            largest_target_[0] = std::max(largest_target_[0], action.count);
            return;
        case ActionKind::kCommit:
            seen["commit"]++;
            return;
        case ActionKind::kRollBack:
            seen["roll back"]++;
            return;
        case ActionKind::kReopenLogs:
        case ActionKind::kLog:
        case ActionKind::kDeath:
        case ActionKind::kChildExit:
        case ActionKind::kReady:
        case ActionKind::kCloseListeners:
            return;
    }
}

void World::do_fork(const Action& action) {
    if (chance(climate_.fork_fails)) {
        seen["fork failed"]++;
        return give({.kind = EventKind::kForkFailed, .slot = action.slot, .text = "EAGAIN"});
    }
    for (const auto& [pid, process] : alive_) {
        if (process.slot == action.slot) broken("two processes in one slot");
    }
    Process process;
    process.slot = action.slot;
    process.pool = index(action.pool);
    seen["forked " + std::string(name(action.pool))]++;
    process.generation = action.generation;
    process.forked_ms = now_ms_;
    process.fat = chance(climate_.fat);
    process.deaf = chance(climate_.deaf);
    process.hung = chance(climate_.hang);
    process.boots_at_ms = now_ms_ + between(0, climate_.boot_ms);
    if (chance(climate_.boot_crash)) {
        process.dies_at_ms = now_ms_ + between(0, climate_.boot_ms);
        process.boots_at_ms = process.dies_at_ms + 1;
        process.status = SIGSEGV;
        if (chance(climate_.boot_code)) process.status = chance(0.5) ? 3 << 8 : 4 << 8;
        boot_code_seen_ |= process.status >= 3 << 8;
    }
    alive_[next_pid_] = process;
    give({.kind = EventKind::kForked, .pid = next_pid_++, .slot = action.slot});
}

void World::do_kill(const Action& action) {
    const auto found = alive_.find(action.pid);
    if (found == alive_.end()) {
        // It died, and is not reaped yet; or it was reaped while this action waited its turn.
        if (!zombies_.contains(action.pid) && prompt_) broken("a signal to an unknown pid");
        return;
    }
    Process& process = found->second;
    if (action.number == SIGTERM && ++terms_[action.pid] > 1) broken("TERM sent twice");
    if (prompt_) check_kill(process, action.number);
    if (action.number == SIGTERM && process.told_ran_ms < 0) process.told_ran_ms = ran_ms_;
    process.aborted |= action.number == SIGABRT;
    quit_sent_ |= action.number == SIGQUIT;
    const int64_t drain = between(0, climate_.drain_ms);
    if (action.number == SIGKILL) {
        process.dies_at_ms = now_ms_;
        process.status = SIGKILL;
        seen["kill"]++;
    } else if (action.number == SIGTERM && (process.stuck > 0 || process.lingers)) {
        return;  // it cannot finish
    } else if (action.number != SIGUSR1 && !process.deaf && !process.hung) {
        process.dies_at_ms = std::min(process.dies_at_ms, now_ms_ + drain);
        process.status = 0;
    } else if (action.number == SIGABRT && !process.deaf) {
        process.dies_at_ms = now_ms_;
        process.status = SIGABRT;
        seen["abort"]++;
    }
}

// Nobody is hurt who had no chance: time in which the machine slept does not count.
void World::check_kill(const Process& process, int number) {
    const bool only_stuck = process.stuck > 0 && process.in_flight <= process.stuck;
    const bool late = quit_sent_ || (process.told_ran_ms >= 0 &&
                                     ran_ms_ - process.told_ran_ms >= least_graceful_ms_);
    const bool hopeless = only_stuck || (process.stuck > 0 && late);
    if (number == SIGABRT && process.over && process.stuck == 0 && !hopeless) {
        broken("a worker that waits for threads is aborted");
    }
    if (number == SIGABRT && process.ready && !process.hung && !hopeless) {
        broken("a healthy worker is aborted");
    }
    const bool graceful = number == SIGKILL && process.told_ran_ms >= 0 && !process.aborted;
    const int64_t grace_ms = process.ready
                                 ? least_graceful_ms_
                                 : std::min(least_graceful_ms_, Supervisor::kUnservedGraceMs);
    if (graceful && !quit_sent_ && ran_ms_ - process.told_ran_ms < grace_ms) {
        broken("a worker is killed after " + std::to_string(ran_ms_ - process.told_ran_ms) +
               " of its " + std::to_string(grace_ms) + " ms of grace");
    }
}

void World::do_reload() {
    if (chance(climate_.reload_fails)) {
        seen["reload failed"]++;
        return give({.kind = EventKind::kReloadFailed});
    }
    seen["reload"]++;
    trials_ = 1;
    options_ = random_options(Kind::kWorker, false);
    least_graceful_ms_ = std::min(least_graceful_ms_, least_grace_ms(options_));
    largest_target_[0] = std::max(largest_target_[0], options_.workers);
    if (!options_.helpers.empty())
        largest_target_[1] = std::max(largest_target_[1], options_.helpers[0].workers);
    give({.kind = EventKind::kReloaded, .options = options_});
}

void World::random_signal() {
    constexpr int kUsual[] = {SIGHUP, SIGTTIN, SIGTTOU, SIGUSR1, SIGUSR2, SIGWINCH, SIGCHLD};
    constexpr int kEnding[] = {SIGTERM, SIGINT, SIGQUIT};
    const int storm = chance(0.05) ? static_cast<int>(between(20, 60)) : 1;
    for (int i = 0; i < storm && !failure_; ++i) {
        const int number = chance(0.004) ? kEnding[between(0, 2)] : kUsual[between(0, 6)];
        give({.kind = EventKind::kSignal, .number = number});
        if (stopping(supervisor_.phase()) && chance(0.3)) {
            give({.kind = EventKind::kSignal, .number = kEnding[between(0, 2)]});
        }
        perform_all(false);
    }
}

// The misfortunes end: the server must find back to its number by itself.
void World::heal() {
    perform_all(true);
    climate_ = Climate{};
    for (auto& [pid, process] : alive_) {
        process.hung = process.deaf = process.lingers = false;
        process.beat_ms = now_ms_;
    }
    for (int round = 0; round < 400 && !halted_ && !failure_; ++round) {
        live_until(std::max(now_ms_, std::min(supervisor_.wake_at_ms(), now_ms_ + 1'000)));
        tick();
        perform_all(true);
    }
    if (halted_ || failure_) return;
    if (stopping(supervisor_.phase())) return broken("a stop that did not end in 400 s");
    if (supervisor_.on_trial() || supervisor_.rolling()) broken("a reload that does not end");
    for (const Pool& pool : supervisor_.pools()) {
        const uint32_t serving = pool.table().serving();
        if (serving == pool.target()) continue;
        broken(std::to_string(serving) + " serve where " + std::to_string(pool.target()) +
               " were wanted, 400 s after the last misfortune");
    }
    for (const auto& [pid, process] : alive_) {
        const auto& all = supervisor_.pools()[process.pool].table().all();
        const bool known = std::any_of(all.begin(), all.end(), [pid = pid](const Worker& worker) {
            return worker.pid == pid;
        });
        if (!known) broken("a process that the supervisor has forgotten");
    }
    seen["healed"]++;
}

void World::finish() {
    give({.kind = EventKind::kSignal, .number = chance(0.5) ? SIGTERM : SIGINT});
    for (int round = 0; round < 400 && !halted_ && !failure_; ++round) {
        perform_all(true);
        live_until(std::max(now_ms_, std::min(supervisor_.wake_at_ms(), now_ms_ + 1'000)));
        tick();
        perform_all(true);
    }
    if (!halted_) return broken("TERM, and no halt within 400 s");
    if (!alive_.empty()) broken("halted over living workers");
    give({.kind = EventKind::kSignal, .number = SIGHUP});
    give({.kind = EventKind::kTick});
}

}  // namespace mono::sim
