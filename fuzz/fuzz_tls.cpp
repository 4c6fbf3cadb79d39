// TLS: any bytes into a session that has not shaken hands, into one that shakes them, and into one
// that has; and true records in any pieces. It ends, holds little, and says what it found.
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <array>
#include <memory>
#include <string>

#include "fuzz.hpp"
#include "tls/peer.hpp"
#include "tls/session.hpp"

namespace mono::fuzz {
namespace {

using tls::Session;

constexpr size_t kInputBytesMax = 32 * 1024;
constexpr size_t kOutBytesMax = 300 * 1024;

tls::CertificatePem make_certificate() {
    const tls::KeyPtr key(EVP_EC_gen("P-256"));
    const tls::X509Ptr x(X509_new());
    X509_set_version(x.get(), X509_VERSION_3);
    X509_gmtime_adj(X509_getm_notBefore(x.get()), 0);
    X509_gmtime_adj(X509_getm_notAfter(x.get()), 86'400);
    X509_set_pubkey(x.get(), key.get());
    X509_sign(x.get(), key.get(), EVP_sha256());
    const tls::BioPtr bio(BIO_new(BIO_s_mem()));
    PEM_write_bio_PKCS8PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    char* bytes = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &bytes);
    return {"fuzz", tls::to_pem(x.get()), std::string(bytes, static_cast<size_t>(size)), "", ""};
}

const std::shared_ptr<const tls::Context>& context(bool asks_clients) {
    static const auto kContexts = [] {
        std::array<std::shared_ptr<const tls::Context>, 2> made;
        tls::ContextOptions options;
        options.certificates.push_back(make_certificate());
        options.alpn = {"h2", "http/1.1"};
        require(tls::rotate(options.tickets), "no ticket key");
        made[0] = tls::Context::make(options).value();
        options.client_certificates = tls::ClientCertificates::kOptional;
        options.ca_pem = options.certificates[0].chain;
        made[1] = tls::Context::make(options).value();
        return made;
    }();
    return kContexts[asks_clients ? 1 : 0];
}

// Feeds one piece; the plaintext of it. What is final stays so.
std::string feed(Session& session, std::string_view piece) {
    // A block of its own: AddressSanitizer sees a read past the piece.
    const auto block = std::make_unique<char[]>(piece.size());
    piece.copy(block.get(), piece.size());
    std::string_view rest(block.get(), piece.size());
    std::string text;
    std::array<char, 4096> into;
    for (;;) {
        const size_t before = rest.size();
        const Session::Moved moved = session.read(rest, into);
        require(rest.size() <= before, "it gives bytes back");
        require(moved.bytes <= into.size(), "more than fits");
        require(session.out().size() <= kOutBytesMax, "output without bound");
        const bool failed = moved.status == Session::Status::kFailed;
        if (failed) {
            require(session.fault() != tls::Fault::kNone, "failed without a fault");
            require(!session.error_text().empty(), "a fault without words");
        }
        if (moved.status != Session::Status::kDone) {
            require(moved.bytes == 0, "bytes without kDone");
            const bool wants_input = moved.status == Session::Status::kWantInput;
            require(!wants_input || rest.empty(), "wants input and has some");
            return text;
        }
        require(moved.bytes > 0, "kDone without bytes");
        text.append(into.data(), moved.bytes);
    }
}

class Client {
  public:
    Client() : ssl_(SSL_new(ctx())) {
        from_server_ = BIO_new(BIO_s_mem());
        to_server_ = BIO_new(BIO_s_mem());
        SSL_set_bio(ssl_.get(), from_server_, to_server_);
        SSL_set_connect_state(ssl_.get());
    }
    std::string hello() {
        (void)SSL_do_handshake(ssl_.get());
        return taken();
    }
    std::string answer(std::string_view wire) {
        BIO_write(from_server_, wire.data(), static_cast<int>(wire.size()));
        return hello();
    }
    std::string encrypted(std::string_view text) {
        if (!text.empty()) SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size()));
        return taken();
    }

  private:
    std::string taken() {
        char* bytes = nullptr;
        const long size = BIO_get_mem_data(to_server_, &bytes);
        std::string wire(bytes, static_cast<size_t>(size));
        (void)BIO_reset(to_server_);
        return wire;
    }
    // One for all: making it takes OpenSSL longer than a handshake.
    static SSL_CTX* ctx() {
        static const tls::CtxPtr kCtx(SSL_CTX_new(TLS_client_method()));
        return kCtx.get();
    }
    tls::SslPtr ssl_;
    BIO* from_server_ = nullptr;
    BIO* to_server_ = nullptr;
};

void send_all(Session& session, std::string_view wire, Random& random) {
    in_pieces(wire, random, [&](std::string_view piece) { (void)feed(session, piece); });
}

// The input takes a place of the client's: 0: at once, 1: behind its hello, 2: behind all.
void interfere(std::string_view input, int place, Random& random) {
    Session session(context(random.one_in(2)));
    Client client;
    if (place > 0) {
        const std::string hello = client.hello();
        (void)feed(session, hello);
        if (place > 1) {
            (void)feed(session, client.answer(session.out()));
            session.sent(session.out().size());
            require(session.handshaken(), "no handshake");
        }
    }
    send_all(session, input, random);
    if (random.one_in(2)) session.close();
    require(session.out().size() <= kOutBytesMax, "output without bound");
    (void)session.peer();
    (void)session.peer_pem();
}

// The input as plaintext, whose records come in any pieces, and some of them are kept meanwhile.
void carry(std::string_view input, Random& random) {
    Session session(context(random.one_in(2)));
    Client client;
    (void)feed(session, client.hello());
    (void)feed(session, client.answer(session.out()));
    session.sent(session.out().size());
    std::string text;
    in_pieces(client.encrypted(input), random, [&](std::string_view piece) {
        if (random.one_in(4))
            session.keep(piece);
        else
            text += feed(session, piece);
    });
    text += feed(session, {});
    require(text == input, "the plaintext depends on the split");
    require(!session.has_pending(), "something is left");
}

}  // namespace
}  // namespace mono::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace mono::fuzz;
    if (size > kInputBytesMax) return 0;
    const std::string_view input = as_text(data, size);
    Random random(input);
    // Handshakes are slow: each input meets one stage, and begins a connection.
    interfere(input, 0, random);
    const int place = 1 + static_cast<int>(random.below(3));
    if (place < 3)
        interfere(input, place, random);
    else
        carry(input, random);
    return 0;
}
