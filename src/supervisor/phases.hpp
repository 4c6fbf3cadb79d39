// The two state machines of the process model, as tables: the server's phases and a worker's
// states. Owns nothing; pure; called by the supervisor only.
// Invariant: a move that is not in the table is refused (kRefused), never guessed.
//
//            start             reload
//   Idle ----------> Running <----------> Reloading
//                      |  |     answer        |
//                 stop |  | quit              | stop, quit
//                      v  v                   v
//               Stopping ----- quit -----> Quitting ---+ quit
//                      |                      |   ^----+
//                      +------> Halted <------+
//                       emptied        emptied
//
//            forked           ready
//   Forking --------> Booting -----> Serving
//                       |  |          |   |
//                   term|  |abort     |   |
//                       v  |          v   |  (term: both end in Retiring;
//                 Retiring +-> Aborting <-+   abort: all three end in Aborting)
//                       |          |
//                       +-> Killed <+         kill: every state with a pid
#pragma once

#include <cstdint>
#include <string_view>

namespace mono::supervisor {

enum class Phase : uint8_t {
    kIdle,       // before start
    kRunning,    // workers are kept at their number
    kReloading,  // the shell re-reads the configuration; workers are kept as before
    kStopping,   // listeners closed, TERM sent, waiting for graceful_timeout
    kQuitting,   // QUIT sent; a second request cuts the wait
    kHalted,     // nothing is answered any more
    kRefused,    // no such move
};

enum class PhaseInput : uint8_t { kStart, kReload, kAnswer, kStop, kQuit, kEmptied };

enum class State : uint8_t {
    kForking,   // the shell was asked to fork; no pid yet
    kBooting,   // alive, loading the application
    kServing,   // has said that it is ready
    kRetiring,  // was sent TERM or QUIT; has until its deadline
    kAborting,  // was sent ABRT for a missed heartbeat; has about a second
    kKilled,    // was sent KILL; only its exit is awaited
    kRefused,   // no such move
};

enum class StateInput : uint8_t { kForked, kReady, kTerm, kAbort, kKill };

Phase next(Phase phase, PhaseInput input);
State next(State state, StateInput input);

// Lower-case names for status lines and test messages.
std::string_view name(Phase phase);
std::string_view name(State state);

constexpr bool stopping(Phase phase) {
    return phase == Phase::kStopping || phase == Phase::kQuitting;
}

}  // namespace mono::supervisor
