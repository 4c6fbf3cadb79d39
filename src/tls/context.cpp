#include "tls/context.hpp"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>

#include "base/clock.hpp"
#include "os/files.hpp"
#include "tls/wire_bio.hpp"

namespace mono::tls {
namespace {

using InfosPtr = std::unique_ptr<STACK_OF(X509_INFO), decltype([](STACK_OF(X509_INFO) * all) {
                                     sk_X509_INFO_pop_free(all, X509_INFO_free);
                                 })>;
using StackPtr =
    std::unique_ptr<STACK_OF(X509), decltype([](STACK_OF(X509) * all) { sk_X509_free(all); })>;
using StorePtr = std::unique_ptr<X509_STORE, Freer<X509_STORE_free>>;

constexpr size_t kNameBytesMax = 255;  // RFC 1035 section 2.3.4

int number_of(Version version) {
    return version == Version::kTls12 ? TLS1_2_VERSION : TLS1_3_VERSION;
}

int verify_mode(ClientCertificates wanted) {
    switch (wanted) {
        case ClientCertificates::kNone:
            return SSL_VERIFY_NONE;
        case ClientCertificates::kOptional:
            return SSL_VERIFY_PEER;
        case ClientCertificates::kRequired:
            return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
    }
    return SSL_VERIFY_NONE;
}

// Certificates and revocation lists of one PEM. Empty, or what is wrong.
std::string add_trust(X509_STORE* store, std::string_view what, const std::string& pem,
                      STACK_OF(X509_NAME) * names) {
    const BioPtr bio = bio_over(pem);
    const InfosPtr infos(PEM_X509_INFO_read_bio(bio.get(), nullptr, nullptr, nullptr));
    if (infos == nullptr) return std::string(what) + " cannot be read: " + last_error();
    int found = 0;
    for (int i = 0; i < sk_X509_INFO_num(infos.get()); ++i) {
        const X509_INFO* info = sk_X509_INFO_value(infos.get(), i);
        if (info->x509 != nullptr) {
            found += X509_STORE_add_cert(store, info->x509);
            X509_NAME* name = X509_NAME_dup(X509_get_subject_name(info->x509));
            if (names != nullptr) sk_X509_NAME_push(names, name);
        }
        if (info->crl != nullptr) found += X509_STORE_add_crl(store, info->crl);
    }
    return found > 0 ? "" : std::string(what) + " holds nothing that can be used";
}

// What a ticket may not outlive: whoever resumes is not verified again.
std::array<unsigned char, SHA256_DIGEST_LENGTH> digest_of_rules(const ContextOptions& options) {
    std::string rules(1, static_cast<char>(options.client_certificates));
    rules.append(std::to_string(options.ca_pem.size())).append(options.ca_pem);
    rules.append(options.crl_pem);
    std::array<unsigned char, SHA256_DIGEST_LENGTH> digest;
    SHA256(reinterpret_cast<const unsigned char*>(rules.data()), rules.size(), digest.data());
    return digest;
}

void set_modes(SSL_CTX* ctx, const ContextOptions& options) {
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION);
    if (!options.ciphers.empty()) SSL_CTX_set_options(ctx, SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    if (options.ticket_lifetime_s == 0) {
        SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
        SSL_CTX_set_num_tickets(ctx, 0);
    }
    SSL_CTX_set_timeout(ctx, static_cast<long>(options.ticket_lifetime_s));
    const auto digest = digest_of_rules(options);
    SSL_CTX_set_session_id_context(ctx, digest.data(), digest.size());
    SSL_CTX_set_verify(ctx, verify_mode(options.client_certificates), nullptr);
}

std::string set_ciphers(SSL_CTX* ctx, const ContextOptions& options) {
    SSL_CTX_set_min_proto_version(ctx, number_of(options.version_min));
    SSL_CTX_set_max_proto_version(ctx, number_of(options.version_max));
    const std::string ciphers(options.ciphers.empty() ? Context::kCiphers : options.ciphers);
    if (SSL_CTX_set_cipher_list(ctx, ciphers.c_str()) != 1)
        return "ciphers: OpenSSL knows none of \"" + ciphers + "\"";
    if (!options.ciphersuites.empty() &&
        SSL_CTX_set_ciphersuites(ctx, options.ciphersuites.c_str()) != 1)
        return "ciphersuites: OpenSSL does not know \"" + options.ciphersuites + "\"";
#if OPENSSL_VERSION_NUMBER >= 0x30500000L
    const char* groups = "X25519MLKEM768:X25519:P-256:P-384";
#else
    const char* groups = "X25519:P-256:P-384";
#endif
    return SSL_CTX_set1_groups_list(ctx, groups) == 1 ? "" : "groups: " + last_error();
}

}  // namespace

// Whom to believe about clients; read once, shared by all of one Context's SSL_CTX.
struct Context::Trust {
    StorePtr store;
    std::unique_ptr<STACK_OF(X509_NAME), decltype([](STACK_OF(X509_NAME) * all) {
                        sk_X509_NAME_pop_free(all, X509_NAME_free);
                    })>
        names;

    std::string read(const ContextOptions& options) {
        store.reset(X509_STORE_new());
        names.reset(sk_X509_NAME_new_null());
        std::string fault;
        if (!options.ca_pem.empty())
            fault = add_trust(store.get(), "ca_certs", options.ca_pem, names.get());
        if (!fault.empty() || options.crl_pem.empty()) return fault;
        X509_STORE_set_flags(store.get(), X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
        return add_trust(store.get(), "the revocation list", options.crl_pem, nullptr);
    }
};

base::Result<std::shared_ptr<const Context>> Context::make(const ContextOptions& options) {
    clear_errors();
    std::shared_ptr<Context> context(new Context);
    std::string fault = context->build(options);
    clear_errors();
    if (!fault.empty()) return base::Failure{std::move(fault)};
    return std::shared_ptr<const Context>(std::move(context));
}

std::string Context::build(const ContextOptions& options) {
    wire_ = make_wire_method();
    tickets_ = options.tickets;
    key_log_ = options.key_log;
    asks_clients_ = options.client_certificates != ClientCertificates::kNone;
    for (const std::string& name : options.alpn) {
        if (name.empty() || name.size() > 255) return "an ALPN name has 1 to 255 bytes";
        alpn_.append(1, static_cast<char>(name.size())).append(name);
    }
    std::string fault = read_certificates(options);
    if (!fault.empty()) return fault;
    Trust trust;
    fault = trust.read(options);
    return fault.empty() ? add_names(options, trust) : fault;
}

std::string Context::read_certificates(const ContextOptions& options) {
    if (options.certificates.empty()) return "there is no certificate";
    for (const CertificatePem& pem : options.certificates) {
        base::Result<Certificate> read = read_certificate(pem);
        if (!read) return read.sentence();
        certificates_.push_back(std::move(read.value()));
    }
    return "";
}

std::string Context::add_names(const ContextOptions& options, const Trust& trust) {
    std::unordered_map<std::string, Group> groups;
    for (size_t i = 0; i < certificates_.size(); ++i) {
        const int kind = EVP_PKEY_get_base_id(certificates_[i].key.get());
        for (const std::string& name : certificates_[i].names) {
            Group& group = groups[name];
            const bool has_kind = std::any_of(group.begin(), group.end(), [&](size_t other) {
                return EVP_PKEY_get_base_id(certificates_[other].key.get()) == kind;
            });
            if (!has_kind) group.push_back(i);
        }
    }
    std::string fault;
    const std::vector<std::string>& first = certificates_[0].names;
    if (context_for(first.empty() ? Group{0} : groups[first[0]], options, trust, fault) < 0)
        return fault;
    for (const auto& [name, group] : groups) {
        const int number = context_for(group, options, trust, fault);
        if (number < 0) return fault;
        by_name_[name] = static_cast<size_t>(number);
    }
    return "";
}

int Context::context_for(const Group& group, const ContextOptions& options, const Trust& trust,
                         std::string& fault) {
    const auto known = std::find(groups_.begin(), groups_.end(), group);
    if (known != groups_.end()) return static_cast<int>(known - groups_.begin());
    CtxPtr ctx(SSL_CTX_new(TLS_server_method()));
    if (ctx == nullptr) {
        fault = last_error();
        return -1;
    }
    set_modes(ctx.get(), options);
    set_callbacks(ctx.get(), options);
    SSL_CTX_set1_cert_store(ctx.get(), trust.store.get());
    if (asks_clients_) SSL_CTX_set_client_CA_list(ctx.get(), SSL_dup_CA_list(trust.names.get()));
    fault = set_ciphers(ctx.get(), options);
    if (fault.empty()) fault = set_certificates(ctx.get(), group);
    if (!fault.empty()) return -1;
    contexts_.push_back(std::move(ctx));
    groups_.push_back(group);
    return static_cast<int>(groups_.size()) - 1;
}

void Context::set_callbacks(SSL_CTX* ctx, const ContextOptions& options) {
    SSL_CTX_set_app_data(ctx, this);
    // The macros for these two have casts of C in them.
    SSL_CTX_callback_ctrl(ctx, SSL_CTRL_SET_TLSEXT_SERVERNAME_CB,
                          reinterpret_cast<void (*)()>(&Context::choose_name));
    SSL_CTX_callback_ctrl(ctx, SSL_CTRL_SET_TLSEXT_STATUS_REQ_CB,
                          reinterpret_cast<void (*)()>(&Context::staple));
    if (!alpn_.empty()) SSL_CTX_set_alpn_select_cb(ctx, &Context::choose_alpn, nullptr);
    if (options.tickets.count > 0) SSL_CTX_set_tlsext_ticket_key_evp_cb(ctx, &Context::ticket);
    if (options.key_log != nullptr) SSL_CTX_set_keylog_callback(ctx, &Context::log_secret);
}

std::string Context::set_certificates(SSL_CTX* ctx, const Group& group) const {
    for (const size_t number : group) {
        const Certificate& certificate = certificates_[number];
        const StackPtr chain(sk_X509_new_null());
        for (const X509Ptr& issuer : certificate.chain) sk_X509_push(chain.get(), issuer.get());
        if (SSL_CTX_use_cert_and_key(ctx, certificate.leaf.get(), certificate.key.get(),
                                     chain.get(), 1) != 1)
            return certificate.name + ": OpenSSL refuses the certificate: " + last_error();
    }
    return "";
}

// RFC 6125 section 6.4: the name itself, else a wildcard for its first label.
SSL_CTX* Context::context_of(std::string_view name) const {
    if (name.size() > kNameBytesMax) return nullptr;
    std::string key(name);
    for (char& byte : key)
        if (byte >= 'A' && byte <= 'Z') byte = static_cast<char>(byte - 'A' + 'a');
    auto found = by_name_.find(key);
    const size_t dot = key.find('.');
    if (found == by_name_.end() && dot != std::string::npos && dot > 0)
        found = by_name_.find("*" + key.substr(dot));
    return found == by_name_.end() ? nullptr : contexts_[found->second].get();
}

const Context& Context::of(const SSL* ssl) {
    return *static_cast<const Context*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)));
}

// A name that nobody has gets the first certificate: the client may know it under another one.
int Context::choose_name(SSL* ssl, int* /*alert*/, void*) {
    const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    if (name == nullptr) return SSL_TLSEXT_ERR_NOACK;
    SSL_CTX* ctx = of(ssl).context_of(name);
    if (ctx == nullptr) return SSL_TLSEXT_ERR_NOACK;
    if (ctx != SSL_get_SSL_CTX(ssl)) SSL_set_SSL_CTX(ssl, ctx);
    return SSL_TLSEXT_ERR_OK;
}

// RFC 7301 section 3.2: a client that speaks nothing of ours is told so. Going on would let one
// protocol's bytes be taken for another one's.
int Context::choose_alpn(SSL* ssl, const unsigned char** out, unsigned char* out_size,
                         const unsigned char* in, unsigned in_size, void*) {
    const std::string& ours = of(ssl).alpn_;
    unsigned char* chosen = nullptr;
    const int result = SSL_select_next_proto(&chosen, out_size,
                                             reinterpret_cast<const unsigned char*>(ours.data()),
                                             static_cast<unsigned>(ours.size()), in, in_size);
    *out = chosen;
    return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

// Called once the certificate is chosen.
int Context::staple(SSL* ssl, void*) {
    const X509* used = SSL_get_certificate(ssl);
    for (const Certificate& certificate : of(ssl).certificates_) {
        if (certificate.ocsp.empty() || X509_cmp(certificate.leaf.get(), used) != 0) continue;
        if (base::unix_seconds() >= certificate.ocsp_next_update) break;
        const std::string& bytes = certificate.ocsp;
        void* copy = OPENSSL_memdup(bytes.data(), bytes.size());  // the session's
        SSL_set_tlsext_status_ocsp_resp(ssl, copy, static_cast<long>(bytes.size()));
        return SSL_TLSEXT_ERR_OK;
    }
    return SSL_TLSEXT_ERR_NOACK;
}

int Context::ticket(SSL* ssl, unsigned char* name, unsigned char* iv, EVP_CIPHER_CTX* cipher,
                    EVP_MAC_CTX* mac, int makes) {
    const int result = use_ticket_key(of(ssl).tickets_, name, iv, cipher, mac, makes != 0);
    // RFC 8446 appendix C.4: a ticket is used once, so each resumption gives a new one.
    return result == 1 && makes == 0 && SSL_version(ssl) == TLS1_3_VERSION ? 2 : result;
}

// One write a line: processes share the file. A line that does not fit is lost; it is debugging.
void Context::log_secret(const SSL* ssl, const char* line) {
    const std::string text = std::string(line) + '\n';
    (void)os::write_sink(of(ssl).key_log_->get(), os::SinkKind::kFile, text);
}

}  // namespace mono::tls
