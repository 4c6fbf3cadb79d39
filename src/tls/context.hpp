// Context: all that a handshake needs to know, as it stood at one moment: certificates and which
// name gets which, versions, ciphers, ALPN, whom to trust, ticket keys. Shared by the sessions
// that began with it; a swap makes another one, and the old one goes with its last session.
// Immutable, so that any thread may use it. Invariant: certificates and keys fit together.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.hpp"
#include "os/fd.hpp"
#include "tls/certificate.hpp"
#include "tls/ssl_ptr.hpp"
#include "tls/tickets.hpp"

namespace mono::tls {

// Python's ssl.CERT_NONE, CERT_OPTIONAL, CERT_REQUIRED.
enum class ClientCertificates : uint8_t { kNone, kOptional, kRequired };
enum class Version : uint8_t { kTls12, kTls13 };

struct ContextOptions {
    std::vector<CertificatePem> certificates;  // the first is for names that no other one has
    std::vector<std::string> alpn;             // what is spoken, the preferred one first
    Version version_min = Version::kTls12;
    Version version_max = Version::kTls13;
    std::string ciphers;       // of TLS 1.2, in OpenSSL's words; empty: kCiphers
    std::string ciphersuites;  // of TLS 1.3; empty: OpenSSL's
    ClientCertificates client_certificates = ClientCertificates::kNone;
    std::string ca_pem;   // who may sign client certificates
    std::string crl_pem;  // whose are revoked; empty: nobody looks
    TicketKeys tickets;   // none: OpenSSL makes some, which no other process knows
    int64_t ticket_lifetime_s = 12 * 3600;  // 0: nobody gets a ticket
    std::shared_ptr<const os::Fd> key_log;  // secrets for Wireshark go there; debugging only
};

class Context {
  public:
    // Mozilla's "intermediate", without the key exchange whose cost falls on the server (DHE).
    static constexpr std::string_view kCiphers =
        "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
        "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
        "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

    // Every Failure is one line for the one who configured it.
    static base::Result<std::shared_ptr<const Context>> make(const ContextOptions& options);
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;

    // For tls/session.cpp.
    SSL_CTX* first() const { return contexts_[0].get(); }
    const BIO_METHOD* wire() const { return wire_.get(); }
    bool asks_clients() const { return asks_clients_; }

  private:
    using Group = std::vector<size_t>;  // certificates of one name, one a kind of key
    struct Trust;

    Context() = default;
    std::string build(const ContextOptions& options);
    std::string read_certificates(const ContextOptions& options);
    std::string add_names(const ContextOptions& options, const Trust& trust);
    // The number in contexts_ of the one that serves with these; -1: `fault` says why not.
    int context_for(const Group& group, const ContextOptions& options, const Trust& trust,
                    std::string& fault);
    void set_callbacks(SSL_CTX* ctx, const ContextOptions& options);
    std::string set_certificates(SSL_CTX* ctx, const Group& group) const;
    SSL_CTX* context_of(std::string_view name) const;

    static const Context& of(const SSL* ssl);
    static int choose_name(SSL* ssl, int* alert, void*);
    static int choose_alpn(SSL* ssl, const unsigned char** out, unsigned char* out_size,
                           const unsigned char* in, unsigned in_size, void*);
    static int staple(SSL* ssl, void*);
    static int ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                      EVP_MAC_CTX* mac, int makes);
    static void log_secret(const SSL* ssl, const char* line);

    std::vector<Certificate> certificates_;
    std::vector<CtxPtr> contexts_;  // [0] begins every handshake
    std::vector<Group> groups_;     // of contexts_
    std::unordered_map<std::string, size_t> by_name_;
    BioMethodPtr wire_;
    std::string alpn_;  // as on the wire: a byte of length before each
    TicketKeys tickets_;
    std::shared_ptr<const os::Fd> key_log_;
    bool asks_clients_ = false;
};

}  // namespace mono::tls
