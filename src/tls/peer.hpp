// Who a client is by its certificate (mTLS), in the words of nginx's $ssl_client_* variables.
// Values only.
#pragma once

#include <string>
#include <vector>

#include "tls/ssl_ptr.hpp"

namespace mono::tls {

struct PeerIdentity {
    std::string verify;   // SUCCESS, NONE, or FAILED:reason
    std::string subject;  // RFC 2253; empty with NONE, as all that follows
    std::string issuer;   // RFC 2253
    std::string serial;   // hexadecimal, upper case
    std::vector<std::string>
        names;  // subjectAltName: DNS:a, IP Address:1.2.3.4, URI:..., email:...
};

// `certificate` nullptr: the client has shown none. `result`: X509_V_OK, or OpenSSL's reason.
PeerIdentity identify(X509* certificate, long result);

std::string to_pem(X509* certificate);

}  // namespace mono::tls
