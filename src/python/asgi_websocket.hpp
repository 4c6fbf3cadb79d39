// AsgiWebSocket: a WebSocket request between receive() and send() (ASGI 3.0).
// The protocol is websocket::WebSocket's; this is its ASGI face.
//
//   kConnecting ── accept ──▶ kAccepted ── close, peer's close ──▶ kEnded
//        └── close, denial response ──────────────────────────────────▲
#pragma once

#include <optional>

#include "python/asgi_channel.hpp"
#include "python/wsgi_objects.hpp"
#include "websocket/handshake.hpp"

namespace mono::python {

class AsgiWebSocket final : public AsgiChannel {
  public:
    AsgiWebSocket(EngineParts& parts, session::Exchange* exchange) : AsgiChannel(parts, exchange) {}

    Answer send(PyObject* message) override;
    bool is_http() const override { return false; }

  private:
    enum class State : uint8_t { kConnecting, kAccepted, kEnded };

    Ref make_scope() override;
    Ref next_message() override;
    bool finish(bool failed) override;
    Ref received(const session::SocketMessage& message) const;
    Ref disconnected(const websocket::WebSocketEnd& end) const;
    Answer accept(PyObject* message);
    Answer send_data(PyObject* message);
    Answer send_close(PyObject* message);
    bool read_opening(websocket::Opening& opening) const;

    State state_ = State::kConnecting;
    bool connect_given_ = false;
    bool denying_ = false;  // a denial response has begun
};

}  // namespace mono::python
