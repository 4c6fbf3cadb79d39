// TlsChannel: TLS between a connection's bytes and its descriptor. Reading drives the handshake.
// Owner: a Transport, under the engine's lock; the descriptor is the Transport's.
#pragma once

#include <memory>
#include <span>
#include <utility>

#include "engine/transport.hpp"
#include "tls/session.hpp"

namespace mono::engine {

class TlsChannel final : public Channel {
  public:
    TlsChannel(int fd, std::unique_ptr<tls::Session> session)
        : fd_(fd), session_(std::move(session)) {}

    [[nodiscard]] os::IoResult receive(std::span<char> into) override;
    [[nodiscard]] os::IoResult send(const iovec* parts, int count) override;
    bool unsent() const override { return !session_->out().empty(); }
    [[nodiscard]] os::IoResult flush() override;
    void say_end() override;

    // What the handshake has shown, or why it failed.
    tls::Session& session() { return *session_; }

  private:
    os::IoResult decrypt(std::string_view wire, std::span<char> into);

    int fd_;
    std::unique_ptr<tls::Session> session_;
};

}  // namespace mono::engine
