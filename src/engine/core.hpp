// Core: one engine from the inside: what its parts share (State), the lock that guards all of it,
// and the parts, each with its own header. Parts run under the lock and call each other; only the
// classes *Calls and Engine, which a runner sees, take it. It is never held while waiting, and its
// holders never wait for the GIL.
#pragma once

#include <cstdint>
#include <mutex>
#include <vector>

#include "base/chain.hpp"
#include "base/clock.hpp"
#include "engine/acceptor.hpp"
#include "engine/access_log_watch.hpp"
#include "engine/answers.hpp"
#include "engine/bodies.hpp"
#include "engine/deadlines.hpp"
#include "engine/drain_plan.hpp"
#include "engine/drainer.hpp"
#include "engine/forks.hpp"
#include "engine/hand_off.hpp"
#include "engine/insurance.hpp"
#include "engine/io_thread.hpp"
#include "engine/links.hpp"
#include "engine/listeners.hpp"
#include "engine/loop.hpp"
#include "engine/notices.hpp"
#include "engine/opening.hpp"
#include "engine/options.hpp"
#include "engine/outbox.hpp"
#include "engine/outgoing.hpp"
#include "engine/pools.hpp"
#include "engine/ready_queue.hpp"
#include "engine/recorder.hpp"
#include "engine/relay.hpp"
#include "engine/rounds.hpp"
#include "engine/sockets.hpp"
#include "engine/turn_bell.hpp"
#include "engine/turns.hpp"
#include "engine/waiters.hpp"
#include "engine/warmup.hpp"
#include "os/poller.hpp"
#include "os/wakeup.hpp"

namespace mono::engine {

// One look at the clock for all that a round does; monotonic.
struct Now {
    int64_t us = 0;
    int64_t ms = 0;
    void look() {
        us = base::monotonic_us();
        ms = us / 1'000;
    }
};

// Requests that the application runs.
struct Slots {
    uint32_t busy = 0;
    uint64_t epoch = 0;      // grows whenever one is taken or given back
    int64_t changed_ms = 0;  // when that was
};

struct Process {
    int pid;
    uint64_t thread;            // that made the engine
    bool has_children = false;  // a child may hold connections of ours
    bool foreign = false;       // this is such a child; written where there is one thread
};

struct State {
    explicit State(Options given);

    Options options;
    Process process;
    std::mutex mutex;
    Now now;
    os::Poller poller;
    os::Wakeup wakeup;  // ends a wait in take()
    ExchangeStore exchanges;
    ReadyQueue ready;
    Slots slots;
    DrainPlan drain;
    Recorder recorder;
    Relay relay;
    Outbox outbox;
    Insurance insurance;
    Waiters waiters;
    Listeners listeners;
    TurnBell bell;
    Notices notices;
    AccessLogWatch access_log;
    std::vector<base::Released> released;  // of output that has left
};

struct Core : State {
    explicit Core(Options given);
    ~Core();
    Core(const Core&) = delete;
    Core& operator=(const Core&) = delete;

    bool ok() const { return poller.ok() && wakeup.ok(); }

    Links links{*this};
    Openings openings{*this};
    Loop loop{*this};
    Rounds rounds{*this};
    Acceptor acceptor{*this};
    Outgoing outgoing{*this};
    Answers answers{*this};
    Bodies bodies{*this};
    Sockets sockets{*this};
    Deadlines deadlines{*this};
    Drainer drainer{*this};
    HandOff hand_off{*this};
    Warmup warmup{*this};
    Turns turns{*this};
    IoThread io_thread{*this};
    Forks forks{*this};
};

}  // namespace mono::engine
