#include "websocket/websocket.hpp"

#include <algorithm>
#include <cstring>

#include "http/bounds.hpp"

namespace mono::websocket {

namespace {

// A peer that pings and never reads must not fill our memory with answers: above this, only the
// latest ping is answered (RFC 6455 section 5.5.3 permits it).
constexpr uint64_t kPongBacklogBytes = 64 * 1024;
constexpr size_t kKeptMessageBytes = 4096;       // what an idle connection keeps of its buffer
constexpr size_t kReservedBytesMax = 64 * 1024;  // at a frame's word, before its bytes come

bool is_continuation_byte(char byte) { return (static_cast<uint8_t>(byte) & 0xC0) == 0x80; }

Fault fault_of(Inflater::Result result) {
    switch (result) {
        case Inflater::Result::kOk:
            return Fault::kNone;
        case Inflater::Result::kTooBig:
            return Fault::kMessageTooBig;
        case Inflater::Result::kCorrupt:
            return Fault::kCompressionCorrupt;
    }
    return Fault::kCompressionCorrupt;
}

int64_t after(int64_t begin_ms, int64_t span_ms) {
    return span_ms > 0 ? begin_ms + span_ms : WebSocket::kNever;
}

}  // namespace

WebSocket::WebSocket(const WebSocketLimits& limits, const std::optional<DeflateParams>& deflate,
                     base::Chain& out, int64_t now_ms)
    : limits_(limits),
      out_(out),
      parser_(deflate.has_value()),
      params_(deflate),
      now_ms_(now_ms),
      heard_ms_(now_ms),
      progress_ms_(now_ms) {}

uint64_t WebSocket::bytes_max() const {
    return limits_.message_bytes_max == 0 ? UINT64_MAX : limits_.message_bytes_max;
}

// --- what comes in ---

WebSocket::Step WebSocket::next(char* bytes, size_t size, int64_t now_ms) {
    now_ms_ = now_ms;
    if (size != 0) {
        heard_ms_ = now_ms;  // any byte is a sign of life, not only a pong
        awaits_pong_ = false;
    }
    forget_message();
    Step out;
    while (phase_ == Phase::kOpen || phase_ == Phase::kClosing) {
        const FrameParser::Step step = parser_.next(bytes + out.consumed, size - out.consumed);
        out.consumed += step.consumed;
        std::optional<Event> event;
        switch (step.event) {
            case FrameParser::Event::kNeedMore:
                event = Event::kNeedMore;
                break;
            case FrameParser::Event::kFrame:
                event = take_frame();
                break;
            case FrameParser::Event::kPayload:
                event = take_payload(step, out);
                break;
            case FrameParser::Event::kFailed:
                event = find(parser_.fault());
                break;
        }
        if (!event) continue;
        out.event = *event;
        return out;
    }
    linger_bytes_ += size;
    if (phase_ == Phase::kLinger && linger_bytes_ > http::kLingerBytesMax) phase_ = Phase::kClosed;
    out.consumed = size;
    return out;
}

void WebSocket::forget_message() {
    if (!delivered_) return;
    delivered_ = false;
    if (message_.capacity() > kKeptMessageBytes)
        message_.release();
    else
        message_.clear();
}

// The head of a frame is complete. What is too big is refused before it is read.
std::optional<WebSocket::Event> WebSocket::take_frame() {
    const Frame& frame = parser_.frame();
    if (frame.is_control()) {
        control_size_ = 0;
        return std::nullopt;
    }
    if (frame.opcode != Opcode::kContinuation) {
        text_ = frame.opcode == Opcode::kText;
        compressed_ = frame.compressed;
        utf8_.reset();
    }
    if (compressed_ || phase_ == Phase::kClosing) return std::nullopt;
    const uint64_t room = bytes_max() - message_.size();
    return frame.length > room ? std::optional(find(Fault::kMessageTooBig)) : std::nullopt;
}

std::optional<WebSocket::Event> WebSocket::take_payload(const FrameParser::Step& step, Step& out) {
    if (parser_.frame().is_control()) return take_control(step);
    // Behind our Close nobody wants messages (RFC 6455 section 7.1.6).
    return phase_ == Phase::kClosing ? std::nullopt : take_data(step, out);
}

std::optional<WebSocket::Event> WebSocket::take_data(const FrameParser::Step& step, Step& out) {
    const Frame& frame = parser_.frame();
    const bool whole = frame.fin && step.last;
    std::string_view fresh = step.payload;
    Fault fault = Fault::kNone;
    if (compressed_) {
        const size_t before = message_.size();
        fault = inflate(step.payload, whole);
        // Text before the fault is judged first, so that every split gives the same answer.
        const auto within = static_cast<size_t>(std::min<uint64_t>(message_.size(), bytes_max()));
        fresh = message_.view().substr(before, within - before);
    } else if (!whole || !message_.empty()) {
        if (message_.empty())
            message_.reserve(
                static_cast<size_t>(std::min<uint64_t>(frame.length, kReservedBytesMax)));
        message_.append(step.payload);
    }
    if (text_ && !utf8_.feed(fresh)) return find(Fault::kTextNotUtf8);
    if (fault != Fault::kNone) return find(fault);
    if (!whole) return std::nullopt;
    if (text_ && !utf8_.complete()) return find(Fault::kTextNotUtf8);
    const bool in_place = !compressed_ && message_.empty();
    out.data = in_place ? step.payload : message_.view();
    out.text = text_;
    delivered_ = true;
    return Event::kMessage;
}

// Whoever leaves a message unfinished makes us hold what he has sent, not the thousandfold that it
// may stand for: it stays packed until it is whole, or as large as a message may be.
Fault WebSocket::inflate(std::string_view fresh, bool whole) {
    if (!whole || !packed_.empty()) {
        packed_.append(fresh);
        if (!whole && packed_.size() < bytes_max()) return Fault::kNone;
        fresh = packed_.view();
    }
    if (!inflater_) inflater_ = std::make_unique<Inflater>(*params_);
    Fault fault = fault_of(inflater_->append(fresh, bytes_max(), message_));
    packed_.release();
    if (fault != Fault::kNone || !whole) return fault;
    return fault_of(inflater_->finish(bytes_max(), message_));
}

std::optional<WebSocket::Event> WebSocket::take_control(const FrameParser::Step& step) {
    if (!step.payload.empty())
        std::memcpy(control_.data() + control_size_, step.payload.data(), step.payload.size());
    control_size_ = static_cast<uint8_t>(control_size_ + step.payload.size());
    if (!step.last) return std::nullopt;
    const std::string_view payload(control_.data(), control_size_);
    if (parser_.frame().opcode == Opcode::kClose) return take_close(payload);
    if (parser_.frame().opcode == Opcode::kPing) answer_ping(payload);
    return std::nullopt;  // a pong has already counted as a sign of life
}

void WebSocket::answer_ping(std::string_view payload) {
    if (phase_ != Phase::kOpen) return;
    pong_waits_ = out_.memory_bytes() > kPongBacklogBytes;
    if (!pong_waits_) {
        write_frame(Opcode::kPong, payload);
        return;
    }
    std::copy(payload.begin(), payload.end(), pong_.begin());
    pong_size_ = static_cast<uint8_t>(payload.size());
}

// RFC 6455 section 5.5.1: the answer repeats the code. The server is the one to close the
// connection (section 7.1.1), as soon as the answer has left.
std::optional<WebSocket::Event> WebSocket::take_close(std::string_view payload) {
    Close close;
    const Fault fault = parse_close(payload, close);
    if (fault != Fault::kNone) return find(fault);
    end_.cause = WebSocketCause::kClosed;
    end_.code = close.code;
    end_.reason = close.reason;
    if (phase_ == Phase::kOpen) write_close(close.code == kNoCode ? kNormal : close.code, {});
    phase_ = out_.empty() ? Phase::kClosed : Phase::kFlush;
    return Event::kEnded;
}

// Behind our own Close nobody is owed an answer, nor a second Close.
WebSocket::Event WebSocket::find(Fault fault) {
    end_.fault = fault;
    if (phase_ == Phase::kClosing) {
        linger(WebSocketCause::kFault);
        return Event::kEnded;
    }
    phase_ = Phase::kFaulty;
    close_ms_ = now_ms_;
    return Event::kFault;
}

// RFC 6455 section 7.1.7.
bool WebSocket::fail(int64_t now_ms) {
    if (phase_ != Phase::kFaulty) return false;
    now_ms_ = now_ms;
    const FaultInfo& info = describe(end_.fault);
    write_close(info.close_code, info.detail);
    linger(WebSocketCause::kFault);
    return true;
}

// What still comes is read and thrown away, because closing a descriptor with unread bytes resets
// the connection, and takes the Close with it.
void WebSocket::linger(WebSocketCause cause) {
    end_.cause = cause;
    phase_ = Phase::kLinger;
    close_ms_ = now_ms_;
}

bool WebSocket::end_of_input() {
    const bool running =
        phase_ == Phase::kOpen || phase_ == Phase::kFaulty || phase_ == Phase::kClosing;
    if (running) end_.cause = WebSocketCause::kLost;
    // In kFlush the peer has only said that it will not send: it may still read our Close.
    if (phase_ != Phase::kFlush) phase_ = Phase::kClosed;
    return running;
}

// --- what goes out ---

WebSocket::Sent WebSocket::send(std::string_view data, bool text, void* owner, int64_t now_ms) {
    now_ms_ = now_ms;
    if (phase_ != Phase::kOpen && phase_ != Phase::kFaulty) return Sent::kRefused;
    if (out_.empty()) progress_ms_ = now_ms;
    if (compresses(data.size())) {
        std::unique_ptr<Deflater> deflater = lend_deflater();
        base::Buffer payload;
        deflater->compress(data, payload);
        return send_packed(std::move(deflater), payload.view(), text, now_ms);
    }
    const Opcode opcode = text ? Opcode::kText : Opcode::kBinary;
    char head[kServerHeadMax];
    out_.append_copy({head, write_head(opcode, false, data.size(), head)});
    if (owner != nullptr && data.size() > http::kCopiedBytesMax) {
        out_.append_shared(data, owner);
        return Sent::kShared;
    }
    out_.append_copy(data);
    return Sent::kCopied;
}

std::unique_ptr<Deflater> WebSocket::lend_deflater() {
    deflater_lent_ = true;
    if (deflater_) return std::move(deflater_);
    return std::make_unique<Deflater>(*params_, limits_.deflate);
}

WebSocket::Sent WebSocket::send_packed(std::unique_ptr<Deflater> deflater, std::string_view payload,
                                       bool text, int64_t now_ms) {
    now_ms_ = now_ms;
    deflater_lent_ = false;
    deflater_ = std::move(deflater);
    if (phase_ != Phase::kOpen && phase_ != Phase::kFaulty) return Sent::kRefused;
    if (out_.empty()) progress_ms_ = now_ms;
    const Opcode opcode = text ? Opcode::kText : Opcode::kBinary;
    char head[kServerHeadMax];
    out_.append_copy({head, write_head(opcode, true, payload.size(), head)});
    out_.append_copy(payload);
    return Sent::kCopied;
}

void WebSocket::close(uint16_t code, std::string_view reason, int64_t now_ms) {
    now_ms_ = now_ms;
    if (phase_ != Phase::kOpen) return;
    write_close(code, reason);
    phase_ = Phase::kClosing;
    close_ms_ = now_ms;
}

void WebSocket::write_close(uint16_t code, std::string_view reason) {
    std::string payload;
    if (is_close_code(code)) {
        size_t size = std::min(reason.size(), kReasonBytesMax);
        while (size < reason.size() && size > 0 && is_continuation_byte(reason[size])) --size;
        payload += static_cast<char>(code >> 8);
        payload += static_cast<char>(code & 0xFF);
        payload.append(reason.substr(0, size));
    }
    write_frame(Opcode::kClose, payload);
    pong_waits_ = false;
}

void WebSocket::write_frame(Opcode opcode, std::string_view payload) {
    if (out_.empty()) progress_ms_ = now_ms_;
    char head[kServerHeadMax];
    out_.append_copy({head, write_head(opcode, false, payload.size(), head)});
    out_.append_copy(payload);
}

void WebSocket::progressed(int64_t now_ms) {
    now_ms_ = progress_ms_ = now_ms;
    if (phase_ == Phase::kFlush && out_.empty()) phase_ = Phase::kClosed;
    if (pong_waits_ && out_.memory_bytes() <= kPongBacklogBytes) {
        pong_waits_ = false;
        write_frame(Opcode::kPong, {pong_.data(), pong_size_});
    }
}

// --- time ---

void WebSocket::pause(bool paused, int64_t now_ms) {
    now_ms_ = heard_ms_ = now_ms;
    paused_ = paused;
    awaits_pong_ = false;
}

// When a ping is due, or its answer overdue. While there is something to send, the progress of
// that is the sign of life.
int64_t WebSocket::ping_at_ms() const {
    if (paused_ || !out_.empty() || limits_.ping_interval_ms <= 0) return kNever;
    if (!awaits_pong_) return after(heard_ms_, limits_.ping_interval_ms);
    return after(std::max(pinged_ms_, progress_ms_), limits_.ping_timeout_ms);
}

int64_t WebSocket::deadline_ms() const {
    const int64_t send_at_ms = out_.empty() ? kNever : after(progress_ms_, limits_.send_ms_max);
    switch (phase_) {
        case Phase::kOpen:
            return std::min(send_at_ms, ping_at_ms());
        case Phase::kFaulty:
        case Phase::kClosing:
            return std::min(send_at_ms, after(close_ms_, limits_.close_ms_max));
        case Phase::kFlush:
            return send_at_ms;
        case Phase::kLinger:
            return close_ms_ + http::kLingerMs;
        case Phase::kClosed:
            return kNever;
    }
    return kNever;
}

bool WebSocket::expire(int64_t now_ms) {
    if (now_ms < deadline_ms()) return false;
    now_ms_ = now_ms;
    switch (phase_) {
        case Phase::kOpen:
            return expire_open(now_ms);
        case Phase::kFaulty:
            return fail(now_ms);
        case Phase::kClosing:
            end_.cause = WebSocketCause::kCloseTimeout;
            phase_ = Phase::kClosed;
            return true;
        case Phase::kFlush:
        case Phase::kLinger:
        case Phase::kClosed:
            phase_ = Phase::kClosed;
            return false;
    }
    return false;
}

// A silent connection keeps of its compression only what it cannot do without: the peer may go on
// with its window, but ours may begin anew.
void WebSocket::rest() {
    deflater_.reset();
    if (inflater_) inflater_->rest();
}

bool WebSocket::expire_open(int64_t now_ms) {
    if (!out_.empty()) {
        end_.cause = WebSocketCause::kSendTimeout;
        phase_ = Phase::kClosed;
        return true;
    }
    if (!awaits_pong_) {
        rest();
        write_frame(Opcode::kPing, {});
        awaits_pong_ = true;
        pinged_ms_ = now_ms;
        return false;
    }
    write_close(kInternalError, "keepalive ping timeout");
    linger(WebSocketCause::kPingTimeout);
    return true;
}

}  // namespace mono::websocket
