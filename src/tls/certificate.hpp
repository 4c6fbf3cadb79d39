// A certificate with its chain and key: read from PEM, and looked at. No file is touched here.
// Owner: the Context that serves with it, or who checks it. Immutable once read.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "tls/secret.hpp"
#include "tls/ssl_ptr.hpp"

namespace mono::tls {

// As it was read from files. `name` is for sentences only: the file's.
struct CertificatePem {
    std::string name;
    std::string chain;  // the server's certificate first
    Secret key;         // empty: it is in `chain`
    Secret password;    // of the key, where it is encrypted
    std::string ocsp;   // a response to staple, DER; may be empty
};

struct Certificate {
    std::string name;  // for sentences
    X509Ptr leaf;
    std::vector<X509Ptr> chain;  // what follows the leaf
    KeyPtr key;
    std::vector<std::string> names;  // DNS names in lower case, "*.example.org" among them
    int64_t not_before = 0;          // seconds since 1970
    int64_t not_after = 0;
    std::string ocsp;              // DER
    int64_t ocsp_next_update = 0;  // seconds since 1970; a response past it is not stapled
};

// Certificate and key, which fit together. Everything that cannot be served is a sentence.
base::Result<Certificate> read_certificate(const CertificatePem& pem);

// What is doubtful about a certificate that can be served: it is not valid yet or any more, or
// its chain is not one. Empty where nothing is.
std::string doubt(const Certificate& certificate, int64_t now);

// Days until it expires, rounded down; negative once it has.
int64_t days_left(const Certificate& certificate, int64_t now);

// Whether the key is a PEM that needs a password.
bool is_encrypted(std::string_view key);

// Leaf and chain in PEM, and nothing else that was in the file.
std::string chain_pem(const Certificate& certificate);

// The key without a password, PKCS #8 in PEM: for processes that are not told the password.
Secret key_in_the_clear(const Certificate& certificate);

}  // namespace mono::tls
