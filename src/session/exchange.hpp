// Exchange: one request and its response. Pooled by the engine; attached to a connection from the
// first byte of a request until its response has left.
//
// Who may touch it: the engine's driver under the engine's lock until it is handed out by take();
// then the application's thread alone (head, body, response), until it gives it back by
// Engine::finish or Engine::abandon. An exchange that is handed out stays alive even when its
// connection dies: `link`, which is looked at under the lock only, then is nullptr. What may be
// used later than that, or by other threads, keeps a Handle (engine/pools.hpp).
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/buffer.hpp"
#include "base/timer_wheel.hpp"
#include "http/error.hpp"
#include "http/message.hpp"
#include "http/request_id.hpp"
#include "http/trust.hpp"
#include "session/body.hpp"
#include "session/facts.hpp"
#include "session/response.hpp"
#include "session/socket_inbox.hpp"

namespace mono::engine {
struct Link;
}

namespace mono::session {

struct PeerInfo {
    std::string host;  // textual IP; empty for unix peers
    uint16_t port = 0;
    uint16_t listener = 0;                 // index into the engine's listeners
    bool trusted = false;                  // forwarded_allow_ips
    std::shared_ptr<const Facts> facts{};  // nullptr: nothing else is known

    // As log lines name it.
    std::string_view shown() const { return host.empty() ? std::string_view("unix") : host; }
};

struct Exchange;

// Fires when the application has had the request for too long (deadlines.cpp).
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
    base::Slice script_name;  // of a permitted header; empty: Limits::script_name
    http::RequestId id;       // set when the head is complete, or refused
    base::Slice trace_id;     // of a traceparent; empty: there was none
    // When the request passed each station: microseconds of the monotonic clock, as of the engine's
    // round; 0: it has not. On the way out they only grow.
    int64_t balancer_us = 0;    // a trusted proxy took it in (X-Request-Start, X-Queue-Start)
    int64_t accepted_us = 0;    // its first byte was here
    int64_t started_us = 0;     // the head was complete
    int64_t ready_us = 0;       // it could be handed out: for WSGI, with its whole body
    int64_t dispatched_us = 0;  // the application got it
    int64_t finished_us = 0;    // the application gave it back
    RequestTimer timer{this};
    uint64_t thread = 0;          // that took it and, but for nested runners, runs the application
    uint16_t flight = kNoFlight;  // its record on the scoreboard (engine/recorder.hpp)
    Lateness lateness = Lateness::kNone;
    bool counted = false;          // taken in, and its ending not yet in the ledger
    bool recorded = false;         // in flight, as the scoreboard tells
    bool entered = false;          // the application has begun, where there is a deadline
    bool interrupted = false;      // the application was told to stop
    bool leaving = false;          // the application is done: too late to interrupt it
    PeerInfo peer;                 // a copy: the connection may die while the application runs
    engine::Link* link = nullptr;  // its connection; nullptr once that is gone
    // Which exchange this is, and whose: what is kept of an earlier request finds nothing.
    uint32_t place = UINT32_MAX;
    uint64_t generation = 0;
    Exchange* next = nullptr;            // in the engine's ready queue or pool
    std::unique_ptr<SocketInbox> inbox;  // of an upgraded connection
    void* user = nullptr;                // the runner's own object for a handed-out exchange
    base::Buffer incoming;               // of a streamed body: arrived and not yet taken
    bool streamed = false;               // handed out before its body was complete
    bool body_complete = true;
    http::Error body_fault = http::Error::kNone;  // refused while it streamed
    bool wants_room = false;                      // the runner waits until the output is low again
    bool handed_out = false;
    bool delivered = false;      // the client left, but the kernel had all of the response
    bool continue_sent = false;  // 100 Continue

    // Whether the client's own connection is encrypted, as far as is known.
    bool https() const {
        if (scheme != http::Scheme::kTransport) return scheme == http::Scheme::kHttps;
        return peer.facts && peer.facts->tls;
    }
    std::string_view request_id() const { return id.view(); }
    // How long each leg took; -1: the request has not been at both of its ends.
    int64_t balancer_wait_us() const { return between(balancer_us, accepted_us); }
    int64_t read_us() const { return between(accepted_us, ready_us); }
    int64_t queue_us() const { return between(ready_us, dispatched_us); }
    int64_t application_us() const { return between(dispatched_us, finished_us); }
    static int64_t between(int64_t begin_us, int64_t end_us) {
        return begin_us == 0 || end_us == 0 ? -1 : end_us - begin_us;
    }
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
        body_fault = http::Error::kNone;
        inbox.reset();
        streamed = wants_room = entered = interrupted = leaving = false;
        body_complete = true;
        id.clear();
        trace_id = {};
        balancer_us = accepted_us = started_us = ready_us = dispatched_us = finished_us = 0;
        thread = 0;
        link = nullptr;
        next = nullptr;
        handed_out = delivered = continue_sent = false;
    }
};

}  // namespace mono::session
