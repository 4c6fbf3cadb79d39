// What peers say that take this port for another one: TLS, HTTP/2, the PROXY protocol. Their first
// bytes are no HTTP/1 request; here they are told apart, so that the refusal can say what to do.
// Pure. HeadParser calls it, for the first two bytes of a request and for a line that is refused.
#pragma once

#include <cstdint>
#include <string_view>

#include "http/error.hpp"

namespace mono::http1 {

// A TLS record of the kind handshake (RFC 8446 section 5.1); it may hold no line end for long.
inline constexpr char kTlsHandshake = 0x16;
inline constexpr char kTlsMajor = 0x03;
// How version 2 of the PROXY protocol begins. A request may have one blank line before it.
inline constexpr std::string_view kProxySignature{"\r\n\r\n\0", 5};

constexpr bool is_other_protocol(http::Error error) {
    return error == http::Error::kTlsReceived || error == http::Error::kHttp2Preface ||
           error == http::Error::kProxyHeader;
}

// A first line that is no request: kNone, or whose protocol it is. RFC 9113 section 3.4.
inline http::Error other_protocol(std::string_view line) {
    if (line == "PRI * HTTP/2.0") return http::Error::kHttp2Preface;
    for (std::string_view family : {"PROXY TCP4", "PROXY TCP6", "PROXY UNKNOWN"}) {
        if (!line.starts_with(family)) continue;
        if (line.size() == family.size() || line[family.size()] == ' ')
            return http::Error::kProxyHeader;
    }
    return http::Error::kNone;
}

}  // namespace mono::http1
