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
    uint32_t connections_max = 0;        // from RLIMIT_NOFILE
    uint32_t clients_room = UINT32_MAX;  // of worker_connections
    bool shared = false;                 // siblings listen on the same sockets
    bool draining = false;
    bool their_turn = false;  // behind requests that keep coming: nobody waits for ever
};

constexpr uint32_t kAcceptBatch = 64;  // bounds the time away from other events
constexpr uint32_t kTurnBatch = 4;     // in their turn, whatever waits for a slot already

uint32_t accept_budget(const Load& load);

// What a worker's descriptors are used for, beside the application's own.
struct Descriptors {
    uint32_t links_max = UINT32_MAX;  // connections; files may take of it too
    uint32_t files_kept = 0;          // for files alone: spilled bodies and answers
    uint32_t links = 0;
    uint32_t files = 0;

    // Of links_max, in use.
    uint32_t taken() const { return links + (files > files_kept ? files - files_kept : 0); }
    bool room_for_file() const { return files < files_kept || taken() < links_max; }
};

// files_max: RLIMIT_NOFILE; used: what is open already. A tenth, and 32 at least, is kept for the
// application, or half of what is left where there are so few.
Descriptors descriptors_of(uint64_t files_max, uint64_t used);

}  // namespace mono::engine
