// A shell for the tests of this folder: forks at once and remembers what it was asked.
#pragma once

#include <csignal>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "supervisor/supervisor.hpp"

namespace mono::supervisor {

inline constexpr int kCode = 256;  // exit code 1 as a wait status is 1 * kCode

struct Shell {
    explicit Shell(const Options& given) : options(given), supervisor(given, 64) {}

    void give(Event event) {
        event.now_ms = now;
        Actions todo;
        supervisor.step(event, todo);
        for (const Action& action : todo) perform(action);
    }
    void perform(const Action& action) {
        done.push_back(action);
        if (action.kind == ActionKind::kFork && fork_later) return;
        if (action.kind == ActionKind::kFork && fork_works) {
            pids[next_pid] = action.slot;
            give({.kind = EventKind::kForked, .pid = next_pid++, .slot = action.slot});
        } else if (action.kind == ActionKind::kFork) {
            give({.kind = EventKind::kForkFailed, .slot = action.slot, .text = "no memory"});
        }
    }
    void start() { give({.kind = EventKind::kStart}); }
    void tick(int64_t after_ms = 0) {
        now += after_ms;
        Event event{.kind = EventKind::kTick};
        for (const auto& [slot, sample] : board) event.samples.push_back(sample);
        give(event);
    }
    // Time passes in the steps that the supervisor asks for.
    void pass(int64_t ms) {
        const int64_t until = now + ms;
        while (supervisor.wake_at_ms() <= until) {
            now = std::max(now, supervisor.wake_at_ms());
            tick();
        }
        now = until;
        tick();
    }
    void signal(int number) { give({.kind = EventKind::kSignal, .number = number}); }
    void ready(int pid) {
        board[pids[pid]] = {.slot = pids[pid], .beat_ms = now, .ready = true};
        tick();
    }
    void ready_all() {
        for (const auto& [pid, slot] : std::map(pids)) ready(pid);
    }
    void beat_all() {
        for (auto& [slot, sample] : board) sample.beat_ms = now;
    }
    void exit(int pid, int status) {
        board.erase(pids[pid]);
        pids.erase(pid);
        give({.kind = EventKind::kExited, .number = status, .pid = pid});
    }
    // HUP, and a configuration that is good.
    void reload(const Options& fresh) {
        signal(SIGHUP);
        give({.kind = EventKind::kReloaded, .options = fresh});
    }
    int count(ActionKind kind) const {
        int found = 0;
        for (const Action& action : done) found += action.kind == kind;
        return found;
    }
    std::vector<std::pair<int, int>> kills() {
        std::vector<std::pair<int, int>> found;
        for (const Action& action : done) {
            if (action.kind == ActionKind::kKill) found.push_back({action.pid, action.number});
        }
        done.clear();
        return found;
    }
    bool said(int level, const std::string& part) const {
        for (const Action& action : done) {
            const bool speaks =
                action.kind == ActionKind::kLog || action.kind == ActionKind::kDeath;
            const bool found = action.text.find(part) != std::string::npos;
            if (speaks && action.number == level && found) return true;
        }
        return false;
    }
    const Action* last(ActionKind kind) const {
        const Action* found = nullptr;
        for (const Action& action : done) {
            if (action.kind == kind) found = &action;
        }
        return found;
    }

    Options options;
    Supervisor supervisor;
    int64_t now = 1'000'000;
    int next_pid = 101;
    bool fork_works = true;
    bool fork_later = false;  // the test answers
    std::map<int, uint32_t> pids;
    std::map<uint32_t, Sample> board;
    std::vector<Action> done;
};

using Kills = std::vector<std::pair<int, int>>;

inline Shell running(uint32_t workers, Options options = {}) {
    options.workers = workers;
    Shell shell(options);
    shell.start();
    shell.ready_all();
    return shell;
}

}  // namespace mono::supervisor
