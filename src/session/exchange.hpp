// Exchange: one request and its response. Pooled by the engine; attached to a connection from the
// first byte of a request until its response has left.
//
// Who may touch it: the engine's driver under the engine's lock until it is handed out by take();
// then the application's thread alone (head, body, response), until it gives it back by
// Engine::finish or Engine::abandon. An exchange that is handed out stays alive even when its
// connection dies: `link` then is nullptr.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/buffer.hpp"
#include "base/timer_wheel.hpp"
#include "http/message.hpp"
#include "http/trust.hpp"
#include "session/body.hpp"
#include "session/response.hpp"
#include "session/socket_inbox.hpp"

namespace mono::session {

struct PeerInfo {
    std::string host;  // textual IP; empty for unix peers
    uint16_t port = 0;
    uint16_t listener = 0;  // index into the engine's listeners
    bool trusted = false;   // forwarded_allow_ips
};

struct Exchange;

// Fires when the application has had the request for too long (engine_deadlines.cpp).
struct RequestTimer : base::TimerNode {
    explicit RequestTimer(Exchange* owner) : exchange(owner) {}
    Exchange* exchange;
};

struct Exchange {
    static constexpr uint16_t kNoFlight = 0xffff;
    enum class Lateness : uint8_t { kNone, kOverdue, kStuck };

    base::Buffer bytes;  // the head and, where it fits, the body
    http::RequestHead head;
    Body body;
    Response response;
    http::Scheme scheme = http::Scheme::kTransport;
    base::Slice script_name;    // of a permitted header; empty: Limits::script_name
    int64_t started_us = 0;     // monotonic: the head was complete
    int64_t dispatched_us = 0;  // monotonic: the application got it
    RequestTimer timer{this};
    uint64_t thread = 0;          // that runs the application (Python's identifier)
    uint16_t flight = kNoFlight;  // its record on the scoreboard (engine/recorder.hpp)
    Lateness lateness = Lateness::kNone;
    bool counted = false;      // taken in, and its ending not yet in the ledger
    bool recorded = false;     // in flight, as the scoreboard tells
    bool interrupted = false;  // the application was told to stop
    bool leaving = false;      // the application is done: too late to interrupt it
    PeerInfo peer;             // a copy: the connection may die while the application runs
    void* link = nullptr;      // engine's connection; nullptr once it is gone
    Exchange* next = nullptr;  // in the engine's ready queue or pool
    std::unique_ptr<SocketInbox> inbox;  // of an upgraded connection
    void* user = nullptr;                // the runner's own object for a handed-out exchange
    base::Buffer incoming;               // of a streamed body: arrived and not yet taken
    bool streamed = false;               // handed out before its body was complete
    bool body_complete = true;
    bool wants_room = false;  // the runner waits until the output is low again
    bool handed_out = false;
    bool continue_sent = false;  // 100 Continue

    std::string_view text(base::Slice slice) const { return slice.in(bytes.data()); }
    std::string_view body_view() const { return body.view(bytes.data()); }
    void clear() {
        if (bytes.capacity() > 16 * 1024) bytes.release();
        bytes.clear();
        head.clear();
        body.clear();
        response.clear();
        scheme = http::Scheme::kTransport;
        script_name = {};
        user = nullptr;
        incoming.release();
        inbox.reset();
        streamed = wants_room = interrupted = leaving = false;
        body_complete = true;
        started_us = dispatched_us = 0;
        thread = 0;
        link = nullptr;
        next = nullptr;
        handed_out = continue_sent = false;
    }
};

}  // namespace mono::session
