// What the supervisor is told, and what it asks for. Plain values; the shell (arbiter.py) makes
// the events and performs the actions, in order; the simulation does the same without processes.
// Invariant: every time is monotonic milliseconds and comes from outside, in Event::now_ms.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace mono::supervisor {

// What the processes of a pool are for.
enum class Kind : uint8_t {
    kWorker,  // serves requests
    kHelper,  // serves the application beside them
};

// A literal: "worker", "helper".
constexpr std::string_view name(Kind kind) { return kind == Kind::kWorker ? "worker" : "helper"; }

// The part of the configuration that policy depends on. Re-given after each reload. Of the first
// pool and the server; `helpers` has the other pools, of which only their part is looked at.
struct Options {
    uint32_t workers = 1;
    int64_t timeout_ms = 30'000;  // 0: heartbeats are not watched
    int64_t graceful_timeout_ms = 30'000;
    // While workers are replaced: processes above the target, and serving ones below it.
    uint32_t max_surge = std::numeric_limits<uint32_t>::max();  // never more than the target
    uint32_t max_unavailable = 0;
    int64_t memory_limit_bytes = 0;  // of one worker; 0: none
    bool private_memory = false;     // measured without what it shares; the shell's business
    int64_t lifetime_min_ms = 60'000;
    bool watch_requests = false;        // request_kill_timeout is set: look for stuck ones
    bool daemon = false;                // WINCH acts only then
    bool unpromoted = false;            // started by the USR2 of a master that still lives
    std::vector<Options> helpers = {};  // at most as many as at the start, in the same order
};

// One slot of the scoreboard, as read just before the event.
struct Sample {
    uint32_t slot = 0;
    int64_t beat_ms = 0;  // 0: never
    bool ready = false;
    int64_t memory_bytes = 0;  // 0: not measured; see Supervisor::memory_due
    uint32_t in_flight = 0;    // requests that it holds
    uint32_t stuck = 0;        // of them, past request_kill_timeout
    bool withdrawn = false;    // takes no more requests
    bool over = false;         // ... and beats no more, nothing but threads are left in it
};

enum class EventKind : uint8_t {
    kStart,         // sockets are bound: fork the first workers
    kTick,          // the wake-up time has come, or a worker has called
    kSignal,        // number: the signal, sent to the master
    kForked,        // slot, pid: answer to kFork
    kForkFailed,    // slot, text: answer to kFork
    kExited,        // pid, number: the wait status
    kReloaded,      // options: answer to kReload
    kReloadFailed,  // answer to kReload: the old configuration goes on
    kReexecForked,  // pid: answer to kReexec
    kReexecFailed,  // answer to kReexec
    kPromoted,      // the old master has gone
    kSetWorkers,    // number: a hook or the control socket sets the target
};

struct Event {
    EventKind kind = EventKind::kTick;
    int64_t now_ms = 0;
    int number = 0;
    int pid = 0;
    uint32_t slot = 0;
    Options options = {};
    std::string text = {};
    std::vector<Sample> samples = {};
};

enum class ActionKind : uint8_t {
    kFork,            // pool, slot, age, generation: answer with kForked or kForkFailed
    kKill,            // pid, number: signal
    kReload,          // answer with kReloaded or kReloadFailed
    kReopenLogs,      // the master's own log files
    kReexec,          // start the new binary; answer with kReexecForked or kReexecFailed
    kCommit,          // a worker of the new generation serves: the old configuration is past
    kRollBack,        // text: why the reload failed. The configuration of `generation` is back
    kLog,             // number: level as in Python's logging; text
    kWorkersChanged,  // count, previous
    kDeath,           // pid, status, number, text: as kLog; the shell adds what it finds out
    kChildExit,       // pid: a worker is reaped and explained; its hook may run
    kReady,           // as many workers as wanted are serving (once a start or reload)
    kCloseListeners,  // the master's own copies, so that the port is free once the workers go
    kHalt,            // number: exit code; text: reason. The last action there is
};

struct Action {
    ActionKind kind;
    Kind pool = Kind::kWorker;  // of which the process is to be
    int number = 0;
    int pid = 0;
    int status = 0;
    uint32_t slot = 0;
    uint32_t age = 0;
    uint32_t generation = 0;
    uint32_t count = 0;
    uint32_t previous = 0;
    std::string text = {};
};

using Actions = std::vector<Action>;

// Levels of Python's logging module.
enum Level : int { kDebug = 10, kInfo = 20, kWarning = 30, kError = 40, kCritical = 50 };

// Exit codes with which a worker says that it cannot start at all (gunicorn's numbers).
inline constexpr int kWorkerBootError = 3;
inline constexpr int kAppLoadError = 4;

}  // namespace mono::supervisor
