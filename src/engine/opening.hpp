// Openings: what comes before the first byte of a connection's protocol. A proxy's header tells
// whom it is from (PROXY protocol), a handshake makes it private (TLS), and the first bytes tell
// HTTP/2 from HTTP/1. In this order, each where it is asked for. Nothing of it holds a slot.
// Owner: the Core, under its lock.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "engine/seldom.hpp"
#include "http/trust.hpp"
#include "http2/session.hpp"
#include "os/socket.hpp"
#include "proxy/header.hpp"
#include "session/connection.hpp"
#include "session/facts.hpp"
#include "tls/session.hpp"

namespace mono::engine {

struct Core;
struct Link;

struct OpeningRules {
    bool proxy = false;  // headers are looked for
    proxy::Versions proxy_versions = proxy::Versions::kBoth;
    http::NetworkSet proxy_allow_ips;
    int64_t proxy_ms_max = 5'000;  // 0 = no limit; so tls_ms_max
    // A server's session with the certificates of this moment; unset: no TLS. nullptr: there are
    // none that can be used.
    std::function<std::unique_ptr<tls::Session>()> tls;
    int64_t tls_ms_max = 10'000;
    bool http2_cleartext = false;         // trusted peers may begin with HTTP/2's preface
    http2::MakeSession* http2 = nullptr;  // never that where HTTP/2 may be spoken
};

// Of a link that opens.
struct Opening {
    enum class Step : uint8_t { kProxy, kTls, kPreface };
    Step step = Step::kProxy;
    int64_t deadline_ms = 0;
    std::shared_ptr<session::Facts> facts;
};

class Openings {
  public:
    explicit Openings(Core& core) : core_(core) {}

    // A client was accepted.
    void begin(Link& link);
    // A link in kProxy or kPreface can be read. kRead: it goes on, or waits for more.
    [[nodiscard]] session::Next look(Link& link, std::span<char> scratch);
    // A link in kTls was read from. kRead: what came of it is looked at as always.
    [[nodiscard]] session::Next shake(Link& link);
    // Its time is over.
    void expire(Link& link);

  private:
    [[nodiscard]] session::Next look_for_header(Link& link, std::span<char> peeked);
    [[nodiscard]] session::Next look_for_preface(Link& link, std::string_view peeked);
    [[nodiscard]] session::Next wait(Link& link) const;
    [[nodiscard]] session::Next take_header(Link& link, const proxy::Header& header);
    void next_step(Link& link);
    void end(Link& link, bool http2 = false);
    [[nodiscard]] session::Next fail(Link& link);
    void say(const Link& link, const std::string& what);

    Core& core_;
    Seldom failed_;
};

}  // namespace mono::engine
