// SocketInbox: what an upgraded connection has for its application: messages in order, and the end.
// Part of an exchange; filled under the engine's lock, emptied by the runner.
#pragma once

#include <cstdint>
#include <deque>
#include <string>

#include "websocket/websocket.hpp"

namespace mono::session {

struct SocketMessage {
    std::string data;
    bool text = false;
};

struct SocketInbox {
    std::deque<SocketMessage> messages;
    uint64_t bytes = 0;       // of all messages
    uint64_t sent_bytes = 0;  // of the application's own messages
    bool awaited = false;     // all messages were taken, and the next has been asked for
    bool ended = false;
    websocket::WebSocketEnd end;

    // Then the engine stops reading: the peer feels it.
    bool full() const { return messages.size() >= 32 || bytes >= 256 * 1024; }
};

}  // namespace mono::session
