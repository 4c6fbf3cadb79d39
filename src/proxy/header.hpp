// The PROXY protocol, versions 1 and 2: a proxy's word on whom a connection comes from, before its
// first byte. Version of 2020/03/05 of the protocol's text; section numbers refer to that.
// Sans-I/O and pure: parse() is called with all that has arrived, until it says what it is; the
// answer is the same however the bytes come. Whether the peer may be believed is the caller's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "http/error.hpp"

namespace mono::proxy {

// Which forms are looked for; what comes in the other one is not a header here (kAbsent).
enum class Versions : uint8_t { kV1, kV2, kBoth };

// What the header says. The last three keep the peer of the transport (sections 2.1 and 2.2).
enum class Kind : uint8_t { kTcp4, kTcp6, kUnix, kLocal, kUnknown, kUnspecified };

// TCP4, TCP6, UNIX, LOCAL, UNKNOWN, UNSPEC.
std::string_view name_of(Kind kind);
constexpr bool replaces_peer(Kind kind) {
    return kind == Kind::kTcp4 || kind == Kind::kTcp6 || kind == Kind::kUnix;
}

struct Endpoint {
    std::string host;   // an address as inet_ntop writes it; the path of a unix socket
    uint16_t port = 0;  // 0 for unix
};

// PP2_TYPE_SSL: how the client speaks to the proxy. Texts are the sender's bytes.
struct Tls {
    bool connected = false;          // this connection is TLS
    bool certificate = false;        // a certificate came over this connection
    bool certificate_known = false;  // ... or earlier in this TLS session
    uint32_t verify = 0;             // 0: it was verified
    std::string version;             // "TLSv1.3"
    std::string common_name;         // of the certificate
    std::string cipher;
    std::string signature_algorithm;
    std::string key_algorithm;
    std::string group;  // of the key exchange
    std::string certificate_der;
    bool verified() const { return (certificate || certificate_known) && verify == 0; }
};

// What a proxy adds to version 2 (section 2.2). Bytes as they came; a text that is absent is empty.
struct Extras {
    std::string alpn;
    std::string authority;  // the name that the client asked for (SNI)
    std::string unique_id;  // at most 128 bytes
    std::string netns;
    std::string vpc_endpoint;  // AWS: the id of a VPC endpoint
    bool has_private_link = false;
    uint32_t private_link = 0;  // Azure: LinkID of a private endpoint
    bool has_service_connection = false;
    uint64_t service_connection = 0;  // Google: id of a Private Service Connect connection
    std::unique_ptr<Tls> tls;
};

struct Header {
    uint8_t version = 0;
    Kind kind = Kind::kUnknown;
    Endpoint source;  // set where replaces_peer(kind)
    Endpoint destination;
    std::unique_ptr<Extras> extras;  // nullptr: there were none
};

constexpr size_t kLineBytesMax = 107;  // of version 1, CRLF included (section 2.1)
constexpr size_t kUniqueIdBytesMax = 128;

enum class Status : uint8_t { kNeedMore, kAbsent, kMalformed, kDone };

struct Parsed {
    Status status = Status::kNeedMore;
    http::Error error = http::Error::kNone;  // of kMalformed
    size_t offset = 0;                       // of kMalformed: where in the header
    size_t consumed = 0;                     // of kDone
};

// The first bytes alone: kDone if a header begins there, which is known from 12 bytes at most. For
// peers that may not send one.
Status recognise(std::string_view bytes, Versions versions);

// `header` is filled with kDone.
[[nodiscard]] Parsed parse(std::string_view bytes, Versions versions, Header& header);

}  // namespace mono::proxy
