#include "tls/session.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <utility>

namespace mono::tls {
namespace {

constexpr size_t kRecordBytesMax = SSL3_RT_MAX_PLAIN_LENGTH;
constexpr std::string_view kProxy = "PROXY ";
constexpr std::string_view kProxy2("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr unsigned char kHandshakeRecord = 0x16;
constexpr unsigned char kClientHello = 0x01;
// Of a record's header, and a handshake message's with its length (RFC 8446 sections 5.1 and 4).
constexpr size_t kFirstBytes = 9;
// OpenSSL makes room for a whole ClientHello when it has read its length, up to 128 KiB. Real
// ones take some 2 KiB, and a ticket with a client's certificate in it some more.
constexpr size_t kHelloBytesMax = 32 * 1024;

bool is_upper(char byte) { return byte >= 'A' && byte <= 'Z'; }

unsigned char byte_at(std::string_view bytes, size_t at) {
    return static_cast<unsigned char>(bytes[at]);
}

// What the first bytes of a connection are. nullopt: it takes more of them to say.
std::optional<Fault> judge(std::string_view bytes) {
    if (bytes.empty()) return std::nullopt;
    for (const std::string_view header : {kProxy, kProxy2}) {
        const size_t common = std::min(bytes.size(), header.size());
        if (bytes.substr(0, common) != header.substr(0, common)) continue;
        if (common < header.size()) return std::nullopt;
        return Fault::kProxyHeader;
    }
    if (is_upper(bytes[0])) return Fault::kPlainHttp;
    if (byte_at(bytes, 0) != kHandshakeRecord) return Fault::kNotTls;
    if (bytes.size() < kFirstBytes) return std::nullopt;
    if (byte_at(bytes, 1) != 0x03 || byte_at(bytes, 5) != kClientHello) return Fault::kNotTls;
    const size_t record = size_t{byte_at(bytes, 3)} << 8 | byte_at(bytes, 4);
    const size_t hello =
        size_t{byte_at(bytes, 6)} << 16 | size_t{byte_at(bytes, 7)} << 8 | byte_at(bytes, 8);
    return record >= 4 && hello > kHelloBytesMax ? Fault::kProtocol : Fault::kNone;
}

std::string_view sentence(Fault fault) {
    switch (fault) {
        case Fault::kNone:
            break;
        case Fault::kPlainHttp:
            return "plain HTTP came to a port that speaks TLS";
        case Fault::kProxyHeader:
            return "a PROXY protocol header came where TLS was expected";
        case Fault::kNotTls:
            return "the first bytes are not TLS";
        case Fault::kVersion:
            return "the client's TLS version is too old";
        case Fault::kNoSharedCipher:
            return "client and server have no cipher in common";
        case Fault::kNoProtocol:
            return "the client speaks none of our protocols (ALPN)";
        case Fault::kNoClientCertificate:
            return "the client has shown no certificate";
        case Fault::kClientCertificate:
            return "the client's certificate is refused: ";
        case Fault::kAlert:
            return "the client gave up: ";
        case Fault::kProtocol:
            return "the TLS handshake or a record is malformed";
    }
    return "";
}

Fault fault_of(int reason) {
    switch (reason) {
        case SSL_R_UNSUPPORTED_PROTOCOL:
        case SSL_R_VERSION_TOO_LOW:
        case SSL_R_UNKNOWN_PROTOCOL:
        case SSL_R_INAPPROPRIATE_FALLBACK:
            return Fault::kVersion;
        case SSL_R_NO_SHARED_CIPHER:
        case SSL_R_NO_SHARED_GROUPS:
        case SSL_R_NO_SUITABLE_KEY_SHARE:
        case SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM:
            return Fault::kNoSharedCipher;
        case SSL_R_NO_APPLICATION_PROTOCOL:
            return Fault::kNoProtocol;
        case SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE:
            return Fault::kNoClientCertificate;
        case SSL_R_CERTIFICATE_VERIFY_FAILED:
            return Fault::kClientCertificate;
        default:
            return reason >= SSL_AD_REASON_OFFSET ? Fault::kAlert : Fault::kProtocol;
    }
}

}  // namespace

Session::Session(std::shared_ptr<const Context> context)
    : context_(std::move(context)), ssl_(SSL_new(context_->first())) {
    BIO* bio = make_wire_bio(context_->wire(), wire_);
    SSL_set_bio(ssl_.get(), bio, bio);
    SSL_set_accept_state(ssl_.get());
}

Session::~Session() = default;

// The first bytes are kept until they can be judged.
Session::Status Session::begin(std::string_view& wire) {
    if (begun_) return Status::kDone;
    std::optional<Fault> judged = judge(wire_.kept.empty() ? wire : wire_.kept.view());
    if (!judged) {
        wire_.kept.append(std::exchange(wire, {}));
        judged = judge(wire_.kept.view());
    }
    if (!judged) return Status::kWantInput;
    begun_ = true;
    return *judged == Fault::kNone ? Status::kDone : fail(*judged, std::string(sentence(*judged)));
}

Session::Moved Session::read(std::string_view& wire, std::span<char> into) {
    if (fault_ != Fault::kNone) return {Status::kFailed, 0};
    if (over_) return {Status::kClosed, 0};
    Status status = begin(wire);
    if (status != Status::kDone) return {status, 0};
    wire_.in = wire;
    clear_errors();
    size_t total = 0;
    while (status == Status::kDone && total < into.size()) {
        size_t got = 0;
        const int result = SSL_read_ex(ssl_.get(), into.data() + total, into.size() - total, &got);
        handshaken_ = handshaken_ || SSL_is_init_finished(ssl_.get()) == 1;
        total += got;
        if (result != 1) status = status_of(result);
    }
    wire = std::exchange(wire_.in, {});
    return {total > 0 ? Status::kDone : status, total};
}

bool Session::has_pending() const { return !wire_.kept.empty() || SSL_pending(ssl_.get()) > 0; }

Session::Status Session::status_of(int result) {
    switch (SSL_get_error(ssl_.get(), result)) {
        case SSL_ERROR_WANT_READ:
            return wire_.held_back ? Status::kWantOutput : Status::kWantInput;
        case SSL_ERROR_ZERO_RETURN:
            over_ = true;
            return Status::kClosed;
        default:
            return fail_by_openssl();
    }
}

Session::Status Session::fail(Fault fault, std::string text) {
    fault_ = fault;
    error_text_ = std::move(text);
    wire_.kept.release();
    return Status::kFailed;
}

Session::Status Session::fail_by_openssl() {
    const int reason = ERR_GET_REASON(ERR_peek_error());
    const Fault fault = fault_of(reason);
    std::string text(sentence(fault));
    if (fault == Fault::kClientCertificate)
        text += X509_verify_cert_error_string(SSL_get_verify_result(ssl_.get()));
    else if (fault == Fault::kAlert)
        text += SSL_alert_desc_string_long(reason - SSL_AD_REASON_OFFSET);
    else if (fault == Fault::kProtocol)
        text.append(" (").append(last_error()).append(")");
    clear_errors();
    return fail(fault, std::move(text));
}

// A head and a small body make one record; what is large is not copied.
std::string_view Session::next_record(const iovec* parts, int count, size_t from,
                                      std::span<char> scratch) {
    size_t gathered = 0;
    for (int i = 0; i < count; ++i) {
        if (from >= parts[i].iov_len) {
            from -= parts[i].iov_len;
            continue;
        }
        const std::string_view rest =
            std::string_view(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len)
                .substr(std::exchange(from, 0));
        if (gathered == 0 && (rest.size() >= scratch.size() || i + 1 == count))
            return rest.substr(0, scratch.size());
        gathered += rest.copy(scratch.data() + gathered, scratch.size() - gathered);
        if (gathered == scratch.size()) break;
    }
    return {scratch.data(), gathered};
}

Session::Moved Session::write(const iovec* parts, int count) {
    if (fault_ != Fault::kNone) return {Status::kFailed, 0};
    if (!handshaken_) return {Status::kWantInput, 0};
    if (wire_.out.size() >= Wire::kOutBytesMax) return {Status::kWantOutput, 0};
    std::array<char, kRecordBytesMax> scratch;
    clear_errors();
    size_t total = 0;
    Status status = Status::kDone;
    while (status == Status::kDone && total < kWriteBytesMax) {
        const std::string_view record = next_record(parts, count, total, scratch);
        if (record.empty()) break;
        size_t written = 0;
        const int result = SSL_write_ex(ssl_.get(), record.data(), record.size(), &written);
        total += written;
        if (result != 1) status = status_of(result);
    }
    return {total > 0 ? Status::kDone : status, total};
}

void Session::close() {
    if (!handshaken_ || fault_ != Fault::kNone) return;
    clear_errors();
    (void)SSL_shutdown(ssl_.get());  // a second call says nothing more
    clear_errors();
}

bool Session::resumed() const { return SSL_session_reused(ssl_.get()) == 1; }

std::string_view Session::alpn() const {
    const unsigned char* name = nullptr;
    unsigned size = 0;
    if (handshaken_) SSL_get0_alpn_selected(ssl_.get(), &name, &size);
    return {reinterpret_cast<const char*>(name), size};
}

std::string_view Session::server_name() const {
    const char* name =
        handshaken_ ? SSL_get_servername(ssl_.get(), TLSEXT_NAMETYPE_host_name) : nullptr;
    return name == nullptr ? std::string_view() : name;
}

std::string_view Session::version() const {
    return handshaken_ ? SSL_get_version(ssl_.get()) : std::string_view();
}

std::string_view Session::cipher() const {
    return handshaken_ ? SSL_CIPHER_get_name(SSL_get_current_cipher(ssl_.get()))
                       : std::string_view();
}

uint16_t Session::version_number() const {
    return handshaken_ ? static_cast<uint16_t>(SSL_version(ssl_.get())) : 0;
}

uint16_t Session::cipher_number() const {
    return handshaken_ ? SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(ssl_.get())) : 0;
}

const PeerIdentity* Session::peer() {
    if (!handshaken_ || !context_->asks_clients()) return nullptr;
    if (peer_ == nullptr)
        peer_ = std::make_unique<PeerIdentity>(
            identify(SSL_get0_peer_certificate(ssl_.get()), SSL_get_verify_result(ssl_.get())));
    return peer_.get();
}

std::string Session::peer_pem() const {
    X509* certificate = SSL_get0_peer_certificate(ssl_.get());
    return !handshaken_ || certificate == nullptr ? std::string() : to_pem(certificate);
}

}  // namespace mono::tls
