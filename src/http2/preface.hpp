// How a cleartext connection becomes HTTP/2: by prior knowledge (RFC 9113 section 3.3), told by
// its first bytes, or by an HTTP/1.1 request with "Upgrade: h2c" (RFC 7540 section 3.2, which
// RFC 9113 gave up and clients still use). Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mono::http2 {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

enum class Preface : uint8_t { kNeedMore, kNo, kYes };
// `bytes`: what arrived first on the connection. kYes needs all of kPreface.
Preface match_preface(std::string_view bytes);

// The fields of a request that asks for h2c. A field that stands more than once counts.
struct UpgradeFields {
    std::string_view upgrade;
    std::string_view connection;  // all its values, joined by commas
    std::string_view settings;    // of HTTP2-Settings
    unsigned settings_count = 0;  // how many such fields there were
};
// True: answer 101 and pass `payload` to Session::upgrade(). Else the request is one of HTTP/1.1.
// As gunicorn: h2c exactly, both names in Connection, one HTTP2-Settings whose payload is valid.
bool accepts_upgrade(const UpgradeFields& fields, std::string& payload);

}  // namespace mono::http2
