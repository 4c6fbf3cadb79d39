// UwsgiReader: takes a request that comes as a uwsgi packet for an exchange: its head as HTTP/1.1
// text, and what the proxy says beside it (scheme, script name, client, variables).
// One for all connections of an engine, under its lock; it keeps nothing between two calls but
// memory.
#pragma once

#include <cstdint>
#include <string_view>

#include "http/error.hpp"
#include "http/trust.hpp"
#include "session/exchange.hpp"
#include "uwsgi/request.hpp"

namespace mono::session {

class UwsgiReader {
  public:
    // `allowed`: peers that may speak uwsgi (uwsgi_allow_ips); outlives this.
    explicit UwsgiReader(const http::NetworkSet& allowed) : allowed_(allowed) {}

    // `bytes`: all that has arrived since the packet began. With kDone, exchange.bytes is the head,
    // scheme, script name and peer are written, and `consumed` bytes are used up. With kMalformed
    // the exchange is as it was.
    uwsgi::Step read(std::string_view bytes, Exchange& exchange);

  private:
    void tell_of_peer(PeerInfo& peer) const;

    const http::NetworkSet& allowed_;
    uwsgi::Request request_;
};

}  // namespace mono::session
