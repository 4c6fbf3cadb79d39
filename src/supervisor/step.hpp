// What the parts of the supervisor share while one event is handled: the time, the phase, which
// configuration is in force, and the list that actions are appended to. Owned by the supervisor,
// handed to its parts by reference; none of them keeps it.
// Invariant: proven <= generation; out is set within Supervisor::step only.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "supervisor/event.hpp"
#include "supervisor/phases.hpp"
#include "supervisor/timing.hpp"

namespace mono::supervisor {

struct Step {
    int64_t now_ms = 0;
    int64_t grace_ms = 0;  // heartbeats count from here at the earliest
    int64_t stop_deadline_ms = Timing::kNever;
    Phase phase = Phase::kIdle;
    uint32_t generation = 1;  // of the configuration in force
    uint32_t proven = 1;      // the last one of which a worker of every pool served
    bool ever_ready = false;  // a worker of this server once became ready
    Actions* out = nullptr;   // of the event under way

    // A new generation was begun and has not proven itself yet.
    bool on_trial() const { return generation != proven; }
    bool running() const { return phase == Phase::kRunning || phase == Phase::kReloading; }

    Action& act(ActionKind kind) { return out->emplace_back(Action{.kind = kind}); }
    void log(int level, std::string text) {
        Action& action = act(ActionKind::kLog);
        action.number = level;
        action.text = std::move(text);
    }
    void send_signal(int pid, int number) {
        Action& action = act(ActionKind::kKill);
        action.pid = pid;
        action.number = number;
    }
};

}  // namespace mono::supervisor
