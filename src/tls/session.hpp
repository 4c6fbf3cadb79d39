// Session: TLS of one connection, the server's side; bytes in, bytes out, no descriptor, no clock.
// Owner: the connection's transport, under its lock. Reading drives the handshake, and whatever
// either call has to say to the peer (handshake, alerts, tickets) is in out().
// Invariant: after kFailed or kClosed nothing more is read; out() may still hold the alert.
#pragma once

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "tls/context.hpp"
#include "tls/peer.hpp"
#include "tls/wire_bio.hpp"

namespace mono::tls {

// Why a session failed, by what there is to do about it.
enum class Fault : uint8_t {
    kNone,
    kPlainHttp,            // a request without TLS: a readable answer is possible, unencrypted
    kProxyHeader,          // the PROXY protocol, before TLS
    kNotTls,               // something else
    kVersion,              // the client's newest is older than ours
    kNoSharedCipher,       // of the cipher list, or for the certificate's kind of key
    kNoProtocol,           // ALPN: the client speaks nothing of ours
    kNoClientCertificate,  // one is required
    kClientCertificate,    // it is not trusted
    kAlert,                // the client gave up, and said why
    kProtocol,             // anything else that is against the standard
};

// What an engine calls is virtual: OpenSSL is loaded only where it is needed (docs/adr/0025).
class Session {
  public:
    enum class Status : uint8_t {
        kDone,        // some bytes moved; call again for what follows
        kWantInput,   // all of the input is used up
        kWantOutput,  // out() holds too much: send first
        kClosed,      // the peer said close_notify; writing still goes
        kFailed,      // fault() and error_text() say why
    };
    struct Moved {
        Status status;
        size_t bytes;  // of plaintext; not 0 with kDone only
    };

    explicit Session(std::shared_ptr<const Context> context);
    virtual ~Session();
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;

    // Takes ciphertext off the front of `wire`, behind what was kept, and gives plaintext. What
    // is left of `wire` at kDone goes into the next call, or is kept.
    virtual Moved read(std::string_view& wire, std::span<char> into);
    // Stores ciphertext that cannot be dealt with now.
    void keep(std::string_view wire) { wire_.kept.append(wire); }
    // Whether read() may give something without new ciphertext.
    virtual bool has_pending() const;

    // Encrypts from the front of `parts`, at most kWriteBytesMax a call. kWantInput: not before
    // the handshake is done.
    virtual Moved write(const iovec* parts, int count);
    // The end of what this side says: close_notify goes to out().
    virtual void close();

    // Ciphertext that is to leave; until the next call of anything that is not const.
    std::string_view out() const { return wire_.out.view(); }
    void sent(size_t bytes) { wire_.out.take(bytes); }

    bool handshaken() const { return handshaken_; }
    virtual bool resumed() const;
    // All of these are empty before the handshake is done.
    virtual std::string_view alpn() const;
    virtual std::string_view server_name() const;  // the client's SNI, as it came
    virtual std::string_view version() const;      // "TLSv1.3"
    virtual std::string_view cipher() const;       // OpenSSL's name
    virtual uint16_t version_number() const;       // 0x0304
    virtual uint16_t cipher_number() const;        // 0x1301

    Fault fault() const { return fault_; }
    const std::string& error_text() const { return error_text_; }  // a clause for one log line

    // nullptr: the handshake is not done, or clients are not asked.
    virtual const PeerIdentity* peer();
    virtual std::string peer_pem() const;  // empty: it has shown no certificate

    static constexpr size_t kWriteBytesMax = 64 * 1024;

  private:
    // kDone once it may go on.
    Status begin(std::string_view& wire);
    Status status_of(int result);
    Status fail(Fault fault, std::string text);
    Status fail_by_openssl();
    // Plaintext for one record; copied together in `scratch` where it is in small pieces.
    static std::string_view next_record(const iovec* parts, int count, size_t from,
                                        std::span<char> scratch);

    std::shared_ptr<const Context> context_;
    Wire wire_;
    SslPtr ssl_;
    std::unique_ptr<PeerIdentity> peer_;
    std::string error_text_;
    Fault fault_ = Fault::kNone;
    bool handshaken_ = false;
    bool begun_ = false;  // the first bytes have been judged
    bool over_ = false;   // the peer's close_notify has come
};

}  // namespace mono::tls
