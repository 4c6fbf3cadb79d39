// Facts: what is known of a connection beside its peer's address, because a proxy said so before
// its first byte (PROXY protocol) or a handshake showed it (TLS). Written while the connection
// opens; const and shared with its exchanges afterwards, which may outlive it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace mono::session {

struct TlsFacts {
    uint16_t version = 0;  // 0x0304: as on the wire
    uint16_t cipher = 0;
    std::string client_subject;      // RFC 2253; empty: the client has shown no certificate
    std::string client_fault;        // why its certificate is not trusted; empty: it is
    std::string client_certificate;  // PEM
};

struct Facts {
    using Variable = std::pair<std::string, std::string>;
    std::vector<Variable> variables;  // of the environ, by their CGI names
    std::string request_id;           // that a proxy gave to the connection; empty: none
    std::unique_ptr<TlsFacts> tls;    // nullptr: the connection is not encrypted
};

}  // namespace mono::session
