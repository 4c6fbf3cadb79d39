// Options: what an engine is made with; from settings and the master. Const afterwards, but for
// connections_max, which the constructor settles.
#pragma once

#include <cstdint>
#include <string>

#include "board/scoreboard.hpp"
#include "engine/opening.hpp"
#include "engine/relay.hpp"
#include "http2/limits.hpp"
#include "log/access_log.hpp"
#include "session/limits.hpp"
#include "websocket/websocket.hpp"

namespace mono::engine {

struct Options {
    session::Limits limits;
    OpeningRules opening;
    http2::Limits http2;
    uint32_t slots = 1;             // requests that the runner runs at once
    uint32_t connections_max = 0;   // 0: from RLIMIT_NOFILE
    uint32_t clients_max = 0;       // connections that one worker holds at most; 0: any number
    bool shared_listeners = false;  // siblings accept from the same sockets
    bool sendfile = true;           // write_file() may be used
    // An event loop that is not ours drives the engine by turn() (gevent, asyncio): no I/O thread,
    // and nothing waits.
    bool nested = false;
    websocket::WebSocketLimits websocket;
    bool stream_bodies = false;  // at their heads, where Limits::buffering has no rule (ASGI)
    const board::Scoreboard* board = nullptr;  // outlives the engine; nullptr: nobody looks
    uint32_t board_slot = 0;
    RelayEnds relay;         // to and from siblings; only with a board
    int overdue_signal = 0;  // to the maker's thread: collect_overdue() or drain_stage(); 0: none
    int stuck_signal = 0;    // handled in a copy of this process when nobody does; 0: none
    int master_fd = -1;      // a byte wakes the master
    // A byte wakes whoever calls take_journal() and warmup_status(); -1: who comes out of take().
    int runner_fd = -1;
    bool keep_unrun = false;     // what never comes to its application, for a runner that asks
    std::string server;          // value of the Server field
    bool server_timing = false;  // answers tell how long they took
    log::AccessLog* access_log = nullptr;
};

}  // namespace mono::engine
