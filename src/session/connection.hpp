// Connection: one HTTP/1 or uwsgi connection as a state machine that is fed bytes and time; no
// descriptor, no clock, no thread. The engine moves the bytes (engine/link.hpp).
//
//            feed: head begins          head and body complete          respond + out empty
//   kIdle ───────────────────▶ kHead ──▶ kBody ──▶ kReady ─────────▶ kFlush ──────────▶ kIdle
//     │ deadline: close          │ fault or deadline │      abandon     │ no keep-alive
//     ▼                          ▼                   ▼         │        ▼
//   kClosed ◀── deadline, eof ── kLinger ◀───── refusal ◀──────┴──── kClosed
//
// A request whose body is to be streamed (Limits::buffering) goes kHead -> kStream (handed out, its
// body arrives into Exchange::incoming) -> kReady when the body is complete, or kFlush when the
// application is done.
//
// Invariants: `out` is sent in order; exchange() is nullptr exactly in kIdle, kLinger and kClosed;
// in kReady the application's thread owns the exchange and nothing here touches it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/byte_queue.hpp"
#include "base/chain.hpp"
#include "http1/chunked.hpp"
#include "http1/head_parser.hpp"
#include "session/exchange.hpp"
#include "session/limits.hpp"
#include "session/spill.hpp"
#include "session/uwsgi_reader.hpp"

namespace mono::session {

// Where exchanges come from and go to; implemented by the engine (a pool) and by tests.
class ExchangePool {
  public:
    virtual ~ExchangePool() = default;
    virtual Exchange* get() = 0;
    virtual void put(Exchange* exchange) = 0;
};

// Shared by all connections of an engine.
struct ConnectionContext {
    const Limits& limits;
    ExchangePool& exchanges;
    SpillFactory& spills;
    http::RequestIdMaker& ids;
    const int64_t& now_us;         // monotonic, of the engine's current round
    bool stream_bodies = false;    // where Limits::buffering does not say otherwise (ASGI)
    UwsgiReader* uwsgi = nullptr;  // set: requests come as uwsgi packets, answers as HTTP/1
};

// Why a request was refused; the engine logs it (error log: rule and offset; access log: a line).
struct Refusal {
    http::Error error = http::Error::kNone;
    uint64_t offset = 0;
};

enum class Phase : uint8_t {
    kIdle,
    kHead,
    kBody,
    kStream,
    kReady,
    kUpgraded,
    kFlush,
    kLinger,
    kClosed
};

// What the engine has to do after a call.
enum class Next : uint8_t {
    kRead,      // nothing but to read on
    kDispatch,  // exchange() is complete: queue it for the application
    kBody,      // more of the streamed body is in exchange()->incoming, or its end
    kRefused,   // refusal() tells why; the page is in out; then linger
    kClose,     // close the descriptor now
};

class Connection {
  public:
    Connection(const ConnectionContext& context, PeerInfo peer, int64_t now_ms);
    ~Connection();
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    // Bytes from the peer, all of them taken: what comes in kReady and kFlush waits its turn, so
    // feed only while wants_bytes(), or the peer is not slowed down.
    [[nodiscard]] Next feed(std::string_view bytes, int64_t now_ms);
    // Before the first byte: who the peer is, and what else is known of it. The time for the first
    // request begins.
    void open(PeerInfo peer, int64_t now_ms);
    // What came before the first request cannot be right.
    [[nodiscard]] Next refuse_opening(http::Error error, uint64_t offset, int64_t now_ms);
    // The peer will send no more.
    [[nodiscard]] Next end_of_input();
    // deadline_ms() has passed.
    [[nodiscard]] Next expire(int64_t now_ms);
    // The application has the exchange and does not answer: the server does, in its place. Nothing
    // that the application's thread may be writing is looked at. Response::begun() must be false.
    [[nodiscard]] Next refuse_running(http::Error error, int64_t now_ms);
    // kReady and not handed out, or a request that is still coming: the server will not serve it.
    [[nodiscard]] Next refuse_waiting(http::Error error, int64_t now_ms);
    // A complete request that another worker has read (engine/relay.hpp). kDispatch, or kClose
    // where it is not what it should be.
    [[nodiscard]] Next resume(std::string_view head, Body body, std::string_view body_bytes,
                              std::string_view pipelined);
    // Half-close: nothing more will be answered, but what still comes is read for a moment.
    void linger(int64_t now_ms, int64_t span_ms);
    // From now on the bytes are another protocol's; returns those that have arrived already.
    base::ByteQueue upgrade();
    // The application is done with the exchange; its response is in out or sent.
    void finished(int64_t now_ms);
    // out is empty in kFlush (the response has left) or in kLinger.
    [[nodiscard]] Next flushed(int64_t now_ms);
    // Some of out went to the peer, or out was filled: the send deadline starts anew.
    void progressed(int64_t now_ms);

    Phase phase() const { return phase_; }
    bool wants_bytes() const {
        return phase_ == Phase::kIdle || phase_ == Phase::kHead || phase_ == Phase::kBody ||
               phase_ == Phase::kLinger ||
               (phase_ == Phase::kStream && exchange_->incoming.size() < kStreamHighBytes);
    }
    // The application waits for its body: asks for it if the client wants to be asked.
    void want_body(int64_t now_ms);
    // The application took what was in incoming, and the kernel has no more.
    void body_taken(int64_t now_ms);
    int64_t deadline_ms() const { return deadline_ms_; }  // kNever in phases without one
    Exchange* exchange() { return exchange_; }
    // Takes the exchange away for good (the connection died under the application).
    Exchange* detach_exchange() { return std::exchange(exchange_, nullptr); }
    const PeerInfo& peer() const { return peer_; }
    const Refusal& refusal() const { return refusal_; }
    uint32_t served() const { return served_; }
    // In kFlush: the connection goes on after this response.
    bool persists() const {
        return refusal_.error == http::Error::kNone && exchange_->response.keep_alive();
    }
    std::string_view pipelined() const { return pipelined_.view(); }
    bool broken_reply() const { return broken_reply_; }
    void break_reply() { broken_reply_ = true; }

    base::Chain out;

    static constexpr int64_t kNever = INT64_MAX;

  private:
    // These take what is the present request's off the front of `bytes`.
    Next take(std::string_view& bytes, int64_t now_ms);
    Next take_head(std::string_view& bytes, int64_t now_ms);
    Next take_packet(std::string_view& bytes, int64_t now_ms);
    Next begin_body(std::string_view& bytes, int64_t now_ms);
    Next take_body(std::string_view& bytes, int64_t now_ms);
    Next take_length(std::string_view& bytes);
    Next take_chunked(std::string_view& bytes);
    Next take_stream(std::string_view& bytes, int64_t now_ms);
    Next begin_stream(std::string_view& bytes, int64_t now_ms);
    void begin_request(int64_t now_ms);
    bool head_started() const;
    Next next_request(int64_t now_ms);
    Next head_parsed(http1::ParseStatus status, std::string_view& bytes, int64_t now_ms);
    void keep_in_place(std::string_view& bytes, uint64_t count);
    // What the head says about framing, proxies and the script name; kRead: all is well.
    Next judge_head();
    bool store(std::string_view bytes);
    Next refuse_unstored();
    void set_body_deadline(int64_t now_ms);
    Next ready();
    bool streams() const;
    Next end_stream(int64_t now_ms);
    bool awaits_continue() const;
    bool clock_rests() const { return rest_began_ms_ != kNever; }
    void rest_clock(int64_t now_ms);
    void run_clock(int64_t now_ms);
    void identify();
    Next refuse(http::Error error, uint64_t offset);
    uint64_t body_offset() const;
    void set_deadline(int64_t now_ms, int64_t span_ms) {
        deadline_ms_ = span_ms > 0 ? now_ms + span_ms : kNever;
    }

    const ConnectionContext& context_;
    PeerInfo peer_;
    http1::HeadParser parser_;
    http1::ChunkedDecoder chunked_;
    Exchange* exchange_ = nullptr;
    base::ByteQueue pipelined_;       // bytes behind the current request
    uint64_t body_left_ = 0;          // of a Content-Length body
    uint64_t body_received_ = 0;      // on the wire: chunks with their frames
    int64_t body_began_ms_ = 0;       // later by how long the clock has rested
    int64_t rest_began_ms_ = kNever;  // kNever: it runs
    int64_t deadline_ms_;
    uint64_t linger_bytes_ = 0;
    uint64_t streamed_bytes_ = 0;  // of a chunked streamed body
    bool unread_ = false;          // the application left a part of the body
    uint32_t served_ = 0;
    Refusal refusal_;
    Phase phase_ = Phase::kIdle;
    bool too_slow_ = false;      // the deadline is that of body_rate_min
    bool broken_reply_ = false;  // the response is incomplete: end with RST, not FIN
};

}  // namespace mono::session
