// Sockets: WebSockets: links whose bytes go through a websocket::WebSocket instead of their
// connection. The exchange that was upgraded gets the messages. Owner: the Core, under its lock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "engine/link.hpp"
#include "engine/pools.hpp"
#include "engine/waiters.hpp"
#include "session/connection.hpp"
#include "websocket/websocket.hpp"

namespace mono::engine {

struct Core;

class Sockets {
  public:
    explicit Sockets(Core& core) : core_(core) {}

    // Reads as far as the inbox has room, and returns how far that was; the rest waits for the
    // application.
    size_t feed(Link& link, char* bytes, size_t size);
    // What had no room in the inbox.
    void feed_waiting(Link& link);
    // The peer will send no more, or the connection is broken.
    session::Next end_input(Link& link);
    // Tells of a fault that had to wait. Meanwhile nothing was read.
    void fail(Link& link);
    // Our Close; whoever broke the protocol hears of that instead.
    void shut(Link& link, uint16_t code, std::string_view reason);
    // Its deadline has passed.
    void expire(Link& link);
    // The application is done; the closing handshake may go on without it.
    void leave(Link& link);
    // A message that is compressed, beside the lock where it is large.
    websocket::WebSocket::Sent send_packed(Lock& lock, Handle handle, std::string_view message,
                                           bool text);

  private:
    void note_end(Link& link);

    Core& core_;
};

}  // namespace mono::engine
