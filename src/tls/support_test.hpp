// What the tests of this folder share: certificates made on the spot, and a client in memory.
#pragma once

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.hpp"
#include "tls/context.hpp"
#include "tls/session.hpp"

namespace mono::tls {

enum class KeyKind : uint8_t { kRsa, kEcdsa };

inline std::string pem_of(const std::function<void(BIO*)>& write) {
    const BioPtr bio(BIO_new(BIO_s_mem()));
    write(bio.get());
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &bytes);
    return {bytes, static_cast<size_t>(size)};
}

// One key a kind for all tests: RSA keys take long to make.
inline EVP_PKEY* key_of(KeyKind kind) {
    static const KeyPtr rsa(EVP_RSA_gen(2048));
    static const KeyPtr ecdsa(EVP_EC_gen("P-256"));
    return kind == KeyKind::kRsa ? rsa.get() : ecdsa.get();
}

struct CertificateWish {
    std::string name = "localhost";  // common name
    std::string names = "DNS:localhost";
    KeyKind kind = KeyKind::kEcdsa;
    int64_t from_s = -3600;  // from now
    int64_t to_s = 90 * 86'400;
    long serial = 1;
    bool is_authority = false;
};

// A certificate and a fresh ECDSA key (or the shared RSA one) that can sign others.
struct Issued {
    X509Ptr certificate;
    KeyPtr key;

    std::string pem() const { return to_pem(certificate.get()); }
    std::string key_pem(const char* password = nullptr) const {
        return pem_of([&](BIO* bio) {
            PEM_write_bio_PKCS8PrivateKey(
                bio, key.get(), password == nullptr ? nullptr : EVP_aes_256_cbc(), password,
                password == nullptr ? 0 : static_cast<int>(std::string_view(password).size()),
                nullptr, nullptr);
        });
    }
    CertificatePem both(std::string more = "") const {
        return {"test.pem", pem() + more, key_pem(), "", ""};
    }
};

inline void add_extension(X509* to, X509* issuer, int nid, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, to, nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_nconf_nid(nullptr, &context, nid, value.c_str());
    ASSERT_NE(extension, nullptr) << value;
    X509_add_ext(to, extension, -1);
    X509_EXTENSION_free(extension);
}

inline Issued issue(const CertificateWish& wish, const Issued* by = nullptr) {
    Issued made;
    made.certificate.reset(X509_new());
    if (wish.kind == KeyKind::kEcdsa)
        made.key.reset(EVP_EC_gen("P-256"));
    else if (EVP_PKEY_up_ref(key_of(KeyKind::kRsa)) == 1)
        made.key.reset(key_of(KeyKind::kRsa));
    X509* x = made.certificate.get();
    X509* issuer = by == nullptr ? x : by->certificate.get();
    X509_set_version(x, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x), wish.serial);
    X509_gmtime_adj(X509_getm_notBefore(x), wish.from_s);
    X509_gmtime_adj(X509_getm_notAfter(x), wish.to_s);
    X509_set_pubkey(x, made.key.get());
    X509_NAME* subject = X509_get_subject_name(x);
    X509_NAME_add_entry_by_txt(subject, "O", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>("Test, Inc."), -1, -1, 0);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                               reinterpret_cast<const unsigned char*>(wish.name.c_str()), -1, -1,
                               0);
    X509_set_issuer_name(x, X509_get_subject_name(issuer));
    if (!wish.names.empty()) add_extension(x, issuer, NID_subject_alt_name, wish.names);
    if (wish.is_authority) add_extension(x, issuer, NID_basic_constraints, "critical,CA:TRUE");
    X509_sign(x, by == nullptr ? made.key.get() : by->key.get(), EVP_sha256());
    return made;
}

inline std::shared_ptr<const Context> make_context(const ContextOptions& options) {
    base::Result<std::shared_ptr<const Context>> made = Context::make(options);
    EXPECT_TRUE(made.ok()) << (made.ok() ? "" : made.sentence());
    return made.ok() ? made.value() : nullptr;
}

inline ContextOptions options_with(const Issued& issued) {
    ContextOptions options;
    options.certificates.push_back(issued.both());
    options.alpn = {"http/1.1"};
    return options;
}

// OpenSSL's client over two memory BIOs.
class Client {
  public:
    Client() : ctx_(SSL_CTX_new(TLS_client_method())) {}
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    SSL_CTX* ctx() { return ctx_.get(); }
    SSL* ssl() { return ssl_.get(); }
    // A new connection, with the last one's ticket where there is one.
    void connect(const char* name = "localhost") {
        if (ssl_ && SSL_is_init_finished(ssl_.get()) == 1) {
            ticket_.reset(SSL_get1_session(ssl_.get()));
            // OpenSSL does not resume what was not closed.
            SSL_set_shutdown(ssl_.get(), SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
        }
        ssl_.reset(SSL_new(ctx_.get()));
        from_server_ = BIO_new(BIO_s_mem());
        to_server_ = BIO_new(BIO_s_mem());
        SSL_set_bio(ssl_.get(), from_server_, to_server_);
        if (name != nullptr)
            SSL_ctrl(ssl_.get(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name,
                     const_cast<char*>(name));
        if (ticket_) SSL_set_session(ssl_.get(), ticket_.get());
        SSL_set_connect_state(ssl_.get());
        step();
    }
    void use(const Issued& issued) {
        SSL_CTX_use_certificate(ctx_.get(), issued.certificate.get());
        SSL_CTX_use_PrivateKey(ctx_.get(), issued.key.get());
    }
    void offer_alpn(std::string_view wire) {
        SSL_CTX_set_alpn_protos(ctx_.get(), reinterpret_cast<const unsigned char*>(wire.data()),
                                static_cast<unsigned>(wire.size()));
    }
    void step() {
        if (SSL_is_init_finished(ssl_.get()) == 0) (void)SSL_do_handshake(ssl_.get());
        char bytes[16384];
        for (int got; (got = SSL_read(ssl_.get(), bytes, sizeof bytes)) > 0;)
            received_.append(bytes, static_cast<size_t>(got));
    }
    void receive(std::string_view wire) {
        BIO_write(from_server_, wire.data(), static_cast<int>(wire.size()));
        step();
    }
    // Ciphertext for the server.
    std::string taken() {
        char* bytes = nullptr;
        const long size = BIO_get_mem_data(to_server_, &bytes);
        std::string wire(bytes, static_cast<size_t>(size));
        (void)BIO_reset(to_server_);
        return wire;
    }
    void send(std::string_view text) {
        EXPECT_EQ(SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size())),
                  static_cast<int>(text.size()));
    }
    bool closed() const { return (SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN) != 0; }
    const std::string& received() const { return received_; }
    X509* server_certificate() { return SSL_get0_peer_certificate(ssl_.get()); }

  private:
    CtxPtr ctx_;
    SslPtr ssl_;
    std::unique_ptr<SSL_SESSION, Freer<SSL_SESSION_free>> ticket_;
    BIO* from_server_ = nullptr;
    BIO* to_server_ = nullptr;
    std::string received_;
};

// What a session read, and where it came to.
struct Read {
    Session::Status status = Session::Status::kDone;
    std::string text;
};

// Feeds pieces of at most `piece` bytes; stops at what is final.
inline Read feed(Session& session, std::string_view wire, size_t piece = SIZE_MAX) {
    Read read;
    char into[20'000];
    do {
        // A block of its own: AddressSanitizer sees a read past the piece.
        const std::string block(wire.substr(0, piece));
        wire.remove_prefix(block.size());
        std::string_view rest = block;
        for (;;) {
            const Session::Moved moved = session.read(rest, into);
            read.status = moved.status;
            read.text.append(into, moved.bytes);
            if (moved.status != Session::Status::kDone) break;
        }
        if (read.status != Session::Status::kWantInput) return read;
        EXPECT_TRUE(rest.empty());
    } while (!wire.empty());
    return read;
}

inline std::string take_out(Session& session) {
    std::string out(session.out());
    session.sent(out.size());
    return out;
}

// Moves bytes both ways until nobody has anything to say.
inline Read shake(Session& session, Client& client, size_t piece = SIZE_MAX) {
    Read read;
    for (;;) {
        const std::string wire = client.taken();
        if (!wire.empty()) {
            Read more = feed(session, wire, piece);
            read.status = more.status;
            read.text += more.text;
        }
        const std::string out = take_out(session);
        if (out.empty()) return read;
        client.receive(out);
    }
}

inline size_t write_all(Session& session, Client& client, std::string_view text) {
    size_t calls = 0;
    while (!text.empty()) {
        const iovec part{const_cast<char*>(text.data()), text.size()};
        const Session::Moved moved = session.write(&part, 1);
        if (moved.status != Session::Status::kDone) break;
        text.remove_prefix(moved.bytes);
        client.receive(take_out(session));
        ++calls;
    }
    return calls;
}

}  // namespace mono::tls
