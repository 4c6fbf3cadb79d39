// Admission: how many connections to accept in this round. Pure; no state of its own.
// A worker that shares its listeners takes no more than it can serve at once, so that the kernel
// gives the rest to its siblings; a lone worker takes what is there.
#pragma once

#include <cstdint>

namespace mono::engine {

struct Load {
    uint32_t slots = 1;  // requests that the application can run at once
    uint32_t busy = 0;   // slots in use
    uint32_t ready = 0;  // complete requests that wait for a slot
    uint32_t connections = 0;
    uint32_t connections_max = 0;  // from RLIMIT_NOFILE or worker_connections
    bool shared = false;           // siblings listen on the same sockets
    bool draining = false;
    bool their_turn = false;  // behind requests that keep coming: nobody waits for ever
};

constexpr uint32_t kAcceptBatch = 64;  // bounds the time away from other events
constexpr uint32_t kTurnBatch = 4;     // in their turn, whatever waits for a slot already

uint32_t accept_budget(const Load& load);

}  // namespace mono::engine
