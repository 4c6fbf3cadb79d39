// Link: what ties a session::Connection to a transport, a timer and an engine.
// Owner: the engine's LinkTable, under the engine's lock. Dies in Links::forget only.
#pragma once

#include <cstdint>
#include <memory>
#include <utility>

#include "base/timer_wheel.hpp"
#include "engine/multiplexer.hpp"
#include "engine/opening.hpp"
#include "engine/spill_file.hpp"
#include "engine/stream_channel.hpp"
#include "engine/transport.hpp"
#include "os/fd.hpp"
#include "session/connection.hpp"
#include "websocket/websocket.hpp"

namespace mono::engine {

// The upper bit of a poller key tells listeners and the wake-up pipe from connections.
constexpr uint32_t kGenerationMask = 0x7fffffff;
constexpr uint64_t kListenerKey = uint64_t{1} << 63;
constexpr uint64_t kWakeupKey = kListenerKey | 0xffffffff;
constexpr uint64_t kRelayKey = kListenerKey | 0xfffffffe;
constexpr uint64_t kWarmupKey = kListenerKey | 0xfffffffd;

constexpr uint16_t kServiceRestart = 1012;  // of RFC 6455's registry: why a draining WebSocket ends

constexpr uint64_t kHeldBytesMax = 64 * 1024;  // that may wait for the I/O thread's look

struct Link : base::TimerNode {
    Link(const session::ConnectionContext& context, os::Fd descriptor, session::PeerInfo peer,
         int64_t now_ms)
        : transport(std::move(descriptor)), connection(context, std::move(peer), now_ms) {}

    uint64_t key = 0;
    Transport transport;
    std::unique_ptr<Opening> opening;  // before the first byte of its protocol
    session::Connection connection;
    std::unique_ptr<Multiplexer> multiplexer;      // it speaks HTTP/2: requests are its streams'
    StreamChannel* stream = nullptr;               // it is such a stream; its transport's
    std::unique_ptr<websocket::WebSocket> socket;  // after an upgrade
    base::ByteQueue socket_input;                  // arrived while the inbox was full
    std::shared_ptr<SpillFile> output_spill;       // of a response to a slow reader
    bool polled = false;                           // in the poller
    bool readable = false;                         // an edge came while nobody wanted bytes
    bool eof = false;                              // the peer sent FIN
    bool blocked = false;                          // the kernel took no more: wait for EPOLLOUT
    // It waits for nothing but a next request.
    bool idle() const {
        return connection.phase() == session::Phase::kIdle && (!multiplexer || multiplexer->idle());
    }
    // All that was said has left, but for what waits in the outbox.
    bool all_sent() const { return connection.out.empty() && !transport.unsent(); }
    bool wants_bytes() const {
        return socket ? socket->wants_bytes() && socket_input.empty() : connection.wants_bytes();
    }
    int64_t deadline_ms() const {
        if (opening) return opening->deadline_ms;
        if (multiplexer) return multiplexer->deadline_ms();
        return socket ? socket->deadline_ms() : connection.deadline_ms();
    }
    bool half_closed = false;  // our half of a WebSocket that lingers
    bool given_away = false;   // another worker has it
    bool delimited = false;    // the answer ends with the connection: until it is whole, a reset
    bool crowded = false;      // out has too much in memory
    bool held = false;         // out waits for the I/O thread or the next write
    bool boxed = false;        // a whole answer waits in the engine's outbox; out is empty
};

}  // namespace mono::engine
