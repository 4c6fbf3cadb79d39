// WebSocket: a connection after its opening handshake, as a state machine that is fed bytes and
// time; no descriptor, no clock, no thread. RFC 6455 sections 5 to 7, RFC 7692. The handshake is
// websocket/handshake; the engine moves the bytes.
//
//           close()                          peer's Close, or deadline
//   kOpen ──────────▶ kClosing ──────────────────────────────┐
//     │ │                │ fault                             │ eof, deadline: kClosed
//     │ │ peer's Close: echoed                               ▼
//     │ └────────────────┼──────────────────────────────▶ kFlush ── out empty ──▶ kClosed
//     │ fault            ▼                                                            ▲
//     │               kLinger (what still comes is thrown away) ── eof, deadline ─────┘
//     ▼                  ▲
//   kFaulty ─────────────┘ fail(), deadline: Close of its code
//
// In kFaulty the messages in front of the fault may still be answered: whoever feeds decides when
// that is over, within the time that a closing handshake may take.
//
// Invariants: kEnded is reported once, by next(), fail(), end_of_input() or expire(), and end() is
// final from then on. Nothing is written to `out` behind a Close frame. What is fed is read only
// as far as events are asked for: an engine that stops asking exerts back-pressure, and says so by
// pause(), or the keep-alive ping would punish the peer for it.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/buffer.hpp"
#include "base/chain.hpp"
#include "websocket/deflate.hpp"
#include "websocket/frame.hpp"
#include "websocket/utf8.hpp"

namespace mono::websocket {

// From settings; one immutable instance an engine. Milliseconds; 0 means "no limit" or "never".
struct WebSocketLimits {
    uint64_t message_bytes_max = 16 << 20;  // after decompression
    int64_t ping_interval_ms = 20'000;      // of silence, before a ping is sent
    int64_t ping_timeout_ms = 20'000;       // of silence after it
    int64_t close_ms_max = 5'000;           // for the peer's half of the closing handshake
    int64_t send_ms_max = 60'000;           // without progress on out
    DeflateRules deflate;
};

// How a WebSocket came to its end.
enum class WebSocketCause : uint8_t {
    kNone,
    kClosed,        // by a Close frame of the peer
    kLost,          // eof or a broken connection, without one
    kFault,         // the peer broke the protocol: end().fault
    kPingTimeout,   // no sign of life
    kSendTimeout,   // the peer does not read
    kCloseTimeout,  // the peer did not answer our Close
};

struct WebSocketEnd {
    uint16_t code = kAbnormal;  // the peer's; kNoCode: its Close had none
    std::string reason;         // the peer's, UTF-8
    WebSocketCause cause = WebSocketCause::kNone;
    Fault fault = Fault::kNone;
};

class WebSocket {
  public:
    enum class Phase : uint8_t { kOpen, kFaulty, kClosing, kFlush, kLinger, kClosed };
    // kFault: the peer broke the protocol; fail() is due.
    enum class Event : uint8_t { kNeedMore, kMessage, kFault, kEnded };
    struct Step {
        Event event = Event::kNeedMore;
        size_t consumed = 0;  // bytes of the input that are dealt with
        // With kMessage: the whole of it, until the next call of next(): a piece of the input
        // where that is possible, else of a buffer inside.
        std::string_view data;
        bool text = false;  // data is UTF-8
    };
    enum class Sent : uint8_t { kCopied, kShared, kRefused };

    // `out` is the connection's and outlives this. `deflate`: what the handshake agreed on.
    WebSocket(const WebSocketLimits& limits, const std::optional<DeflateParams>& deflate,
              base::Chain& out, int64_t now_ms);

    // Bytes from the peer, which are unmasked in place. Call again with the rest until kNeedMore;
    // the call behind a message may have no bytes left. After kFault or kEnded the rest is thrown
    // away.
    [[nodiscard]] Step next(char* bytes, size_t size, int64_t now_ms);
    // Tells the peer of its fault: what could be answered has been. True: kEnded. Ignored but in
    // kFaulty.
    bool fail(int64_t now_ms);
    // The peer will send no more, or the connection is broken. True: kEnded.
    [[nodiscard]] bool end_of_input();
    // deadline_ms() has passed. True: kEnded.
    [[nodiscard]] bool expire(int64_t now_ms);
    // Some of out went to the peer.
    void progressed(int64_t now_ms);
    // The engine stops feeding because the application does not keep up, or goes on.
    void pause(bool paused, int64_t now_ms);

    // A message of the application. kShared: data is in out by reference, and `owner` comes back
    // through the chain's released; only where owner is not nullptr. kRefused: neither in kOpen
    // nor in kFaulty.
    [[nodiscard]] Sent send(std::string_view data, bool text, void* owner, int64_t now_ms);
    // The application's or the server's Close. A code that must not be sent becomes none at all;
    // of a long reason the first 123 bytes are sent, in whole characters. Ignored but in kOpen.
    void close(uint16_t code, std::string_view reason, int64_t now_ms);

    Phase phase() const { return phase_; }
    bool wants_bytes() const {
        return phase_ != Phase::kFaulty && phase_ != Phase::kFlush && phase_ != Phase::kClosed;
    }
    // Nothing is left to be said or heard: the connection ends.
    bool over() const {
        return phase_ == Phase::kClosed || (phase_ == Phase::kFlush && out_.empty());
    }
    // A large message may be compressed beside the lock: take what compresses, and bring it back
    // with the result. Meanwhile nothing else may be sent that is compressed.
    bool compresses(size_t bytes) const {
        return params_ && bytes >= limits_.deflate.message_bytes_min;
    }
    bool deflater_is_lent() const { return deflater_lent_; }
    std::unique_ptr<Deflater> lend_deflater();
    [[nodiscard]] Sent send_packed(std::unique_ptr<Deflater> deflater, std::string_view payload,
                                   bool text, int64_t now_ms);
    int64_t deadline_ms() const;  // kNever where there is none
    const WebSocketEnd& end() const { return end_; }

    static constexpr int64_t kNever = INT64_MAX;

  private:
    // nullopt: nothing to report yet.
    std::optional<Event> take_frame();
    std::optional<Event> take_payload(const FrameParser::Step& step, Step& out);
    std::optional<Event> take_data(const FrameParser::Step& step, Step& out);
    std::optional<Event> take_control(const FrameParser::Step& step);
    std::optional<Event> take_close(std::string_view payload);
    Fault inflate(std::string_view fresh, bool whole);
    void forget_message();
    void rest();
    void answer_ping(std::string_view payload);
    Event find(Fault fault);
    void linger(WebSocketCause cause);
    void write_frame(Opcode opcode, std::string_view payload);
    void write_close(uint16_t code, std::string_view reason);
    uint64_t bytes_max() const;
    int64_t ping_at_ms() const;
    bool expire_open(int64_t now_ms);

    const WebSocketLimits& limits_;
    base::Chain& out_;
    FrameParser parser_;
    std::optional<DeflateParams> params_;
    std::unique_ptr<Inflater> inflater_;  // made when they are first needed
    std::unique_ptr<Deflater> deflater_;
    base::Buffer message_;  // fragments, or what was decompressed
    base::Buffer packed_;   // of an unfinished message, as it came
    Utf8Check utf8_;
    WebSocketEnd end_;
    uint64_t linger_bytes_ = 0;
    int64_t now_ms_;         // the latest that was told
    int64_t heard_ms_;       // the peer's last bytes
    int64_t progress_ms_;    // of out
    int64_t close_ms_ = 0;   // when the phase kFaulty, kClosing or kLinger began
    int64_t pinged_ms_ = 0;  // with awaits_pong_
    Phase phase_ = Phase::kOpen;
    bool text_ = false;        // the present message
    bool compressed_ = false;  // the present message
    bool delivered_ = false;   // message_ has been handed out
    bool deflater_lent_ = false;
    bool awaits_pong_ = false;
    bool paused_ = false;
    bool pong_waits_ = false;
    uint8_t control_size_ = 0;
    uint8_t pong_size_ = 0;
    std::array<char, kControlBytesMax> control_;  // payload of the present control frame
    std::array<char, kControlBytesMax> pong_;     // with pong_waits_: the latest ping's
};

}  // namespace mono::websocket
