// AsgiWebSocket: a WebSocket request between receive() and send() (ASGI 3.0).
// The protocol is session::WebSocket's; this is its ASGI face.
//
//   kConnecting ── accept ──▶ kAccepted ── close, peer's close ──▶ kEnded
//        └── close, denial response ──────────────────────────────────▲
#pragma once

#include <optional>

#include "http/ws_handshake.hpp"
#include "python/asgi_channel.hpp"
#include "python/wsgi_objects.hpp"

namespace mono::python {

class AsgiWebSocket final : public AsgiChannel {
  public:
    AsgiWebSocket(EngineParts& parts, session::Exchange* exchange) : AsgiChannel(parts, exchange) {}

    Answer send(PyObject* message) override;

  private:
    enum class State : uint8_t { kConnecting, kAccepted, kEnded };

    Ref make_scope() const override;
    Ref next_message() override;
    bool finish(bool failed) override;
    Ref received(const session::SocketMessage& message) const;
    Ref disconnected(const session::WebSocketEnd& end) const;
    Answer accept(PyObject* message);
    Answer send_data(PyObject* message);
    Answer send_close(PyObject* message);
    bool read_opening(http::WsOpening& opening) const;

    State state_ = State::kConnecting;
    bool connect_given_ = false;
    bool denying_ = false;  // a denial response has begun
};

}  // namespace mono::python
