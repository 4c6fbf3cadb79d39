// WsDriver: a WebSocket connection without descriptors. It feeds a stream through the opening
// handshake and websocket::WebSocket and writes down, in the words of tests/vectors/README.md, what
// happened. Pieces may be of any size; the transcript must not depend on them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/chain.hpp"
#include "websocket/handshake.hpp"
#include "websocket/websocket.hpp"

namespace mono::conformance {

struct WsDriverRules {
    websocket::WebSocketLimits limits;
    std::string extensions;  // what the client offered, where the stream has no handshake

    std::string apply(const std::vector<std::pair<std::string, std::string>>& settings);
};

class WsDriver {
  public:
    // `handshake`: the stream begins with a request; else with frames.
    WsDriver(const WsDriverRules& rules, bool handshake);

    void feed(std::string_view piece);
    void finish();  // the client closes
    const std::vector<std::string>& events() const { return events_; }

  private:
    void read_head(std::string_view piece);
    void take_head(http::RequestHead& head);
    void open(const std::optional<websocket::DeflateParams>& deflate);
    void read_frames(std::string_view piece);
    void note(std::string_view key, std::string_view value);
    void note_end();
    void drain();

    const WsDriverRules* rules_;
    std::string head_;
    base::Chain out_;
    std::vector<base::Released> released_;
    std::unique_ptr<websocket::WebSocket> socket_;
    std::vector<std::string> events_;
    bool refused_ = false;
};

// An independent reading of what a server sent: one line a frame, "NAME payload". Stops the
// process at a frame that no server may send.
std::vector<std::string> read_server_frames(std::string_view bytes);

}  // namespace mono::conformance
