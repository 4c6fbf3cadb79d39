// Who the client is, by the fields of the proxies before us: X-Forwarded-For, and Forwarded
// (RFC 7239), under one policy. From the right, each hop is believed about the one before it as
// long as it is trusted itself; the first that is not is the client. What stands left of it is that
// client's own claim, and is not looked at.
// Pure. To be asked only about a peer that is trusted; the slices are of the buffer of the head.
#pragma once

#include <cstdint>

#include "base/slice.hpp"
#include "http/error.hpp"
#include "http/message.hpp"
#include "http/trust.hpp"

namespace mono::http {

enum class ForwardedFields : uint8_t { kXForwarded, kForwarded, kBoth };

struct ForwardedVerdict {
    FramingError fault;
    base::Slice client;  // an IP address; empty: no field names one, so it is the peer
    uint16_t port = 0;   // 0: not said
    Scheme scheme = Scheme::kTransport;  // by "proto" of Forwarded
};

// A hop without an address ("unknown", "_hidden", garbage) ends the walk: the client is then the
// last one that has one. Forwarded is refused where it breaks its grammar: a quote that does not
// end would swallow what a proxy appends. Where both are looked at and both name a client, it has
// to be the same one (kForwardedConflict).
[[nodiscard]] ForwardedVerdict read_forwarded(const NetworkSet& trusted, ForwardedFields fields,
                                              const char* buffer, const RequestHead& head);

}  // namespace mono::http
