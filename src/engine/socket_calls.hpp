// SocketCalls: how a runner speaks on a WebSocket. Each call takes the engine's lock.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "engine/pools.hpp"
#include "engine/wire.hpp"
#include "session/socket_inbox.hpp"
#include "websocket/deflate.hpp"
#include "websocket/websocket.hpp"

namespace mono::engine {

struct Core;

class SocketCalls {
  public:
    // Sends the 101 in `head`; from then on there is an Exchange::inbox, and it fills. False: the
    // client had gone before.
    bool upgrade(Handle handle, std::string_view head,
                 const std::optional<websocket::DeflateParams>& deflate);
    WriteStatus send_message(Handle handle, Piece piece, bool text);
    void close_socket(Handle handle, uint16_t code, std::string_view reason);
    // The next message into `message`; false: none has come yet.
    bool take_message(Handle handle, session::SocketMessage& message);
    // No message will come any more: `end` is why.
    bool socket_ended(Handle handle, websocket::WebSocketEnd& end);

  protected:
    explicit SocketCalls(Core& core) : core_(core) {}

  private:
    Core& core_;
};

}  // namespace mono::engine
