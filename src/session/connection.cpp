#include "session/connection.hpp"

#include <algorithm>

#include "base/clock.hpp"
#include "http/framing.hpp"
#include "http/queue_time.hpp"
#include "http/target.hpp"
#include "session/server_page.hpp"

namespace mono::session {

using http::Error;

Connection::Connection(const ConnectionContext& context, PeerInfo peer, int64_t now_ms)
    : context_(context),
      peer_(std::move(peer)),
      parser_(context.limits.head),
      chunked_(context.limits.head) {
    set_deadline(now_ms, context.limits.head_ms_max);
}

Connection::~Connection() {
    if (exchange_ != nullptr) context_.exchanges.put(exchange_);
}

Next Connection::feed(std::string_view bytes, int64_t now_ms) {
    switch (phase_) {
        case Phase::kIdle:
        case Phase::kHead:
            return feed_head(bytes, now_ms);
        case Phase::kBody:
            return feed_body(bytes, now_ms);
        case Phase::kStream:
            return feed_stream(bytes, now_ms);
        case Phase::kLinger:
            linger_bytes_ += bytes.size();
            return linger_bytes_ > kLingerBytesMax ? Next::kClose : Next::kRead;
        case Phase::kReady:
        case Phase::kUpgraded:
        case Phase::kFlush:
            pipelined_.append(bytes);
            return Next::kRead;
        case Phase::kClosed:
            return Next::kClose;
    }
    return Next::kClose;
}

Next Connection::feed_head(std::string_view bytes, int64_t now_ms) {
    if (phase_ == Phase::kIdle) {
        phase_ = Phase::kHead;
        exchange_ = context_.exchanges.get();
        exchange_->peer = peer_;
        exchange_->accepted_us = context_.now_us;
        set_deadline(now_ms, context_.limits.head_ms_max);
    }
    base::Buffer& buffer = exchange_->bytes;
    buffer.append(bytes);
    auto length = static_cast<uint32_t>(buffer.size());
    switch (parser_.parse(buffer.data(), length, exchange_->head)) {
        case http::ParseStatus::kNeedMore:
            return Next::kRead;
        case http::ParseStatus::kFailed:
            return refuse(parser_.error(), parser_.error_offset());
        case http::ParseStatus::kComplete:
            return head_complete(now_ms);
    }
    return Next::kClose;
}

Error Connection::check_script_name() const {
    const Exchange& exchange = *exchange_;
    std::string_view script = exchange.script_name.empty()
                                  ? std::string_view(context_.limits.script_name)
                                  : exchange.text(exchange.script_name);
    if (script.empty()) return Error::kNone;
    bool prefix = exchange.text(exchange.head.path).starts_with(script);
    return prefix ? Error::kNone : Error::kScriptNameMismatch;
}

// Costs a clock only where a proxy has stamped the request.
void Connection::identify() {
    Exchange& exchange = *exchange_;
    http::RequestOrigin origin =
        http::read_origin(exchange.bytes.data(), exchange.head, peer_.trusted);
    exchange.trace_id = origin.trace_id;
    if (origin.request_id.empty()) {
        context_.ids.make(exchange.id);
    } else {
        exchange.id.assign(exchange.text(origin.request_id));
    }
    if (origin.queue_start.empty()) return;
    int64_t waited_us = http::queue_time_us(exchange.text(origin.queue_start), base::unix_us());
    if (waited_us < 0) return;
    // Two clocks seldom agree to the microsecond.
    int64_t here_us = std::max<int64_t>(1, exchange.accepted_us);
    exchange.balancer_us = std::clamp<int64_t>(context_.now_us - waited_us, 1, here_us);
}

Next Connection::head_complete(int64_t now_ms) {
    exchange_->started_us = context_.now_us;
    identify();
    Next fault = judge_head();
    return fault == Next::kRead ? begin_body(now_ms) : fault;
}

Next Connection::judge_head() {
    Exchange& exchange = *exchange_;
    char* buffer = exchange.bytes.data();
    http::FramingError framing = http::apply_framing(buffer, exchange.head);
    if (framing.error != Error::kNone) return refuse(framing.error, framing.offset);
    http::TrustVerdict verdict =
        http::apply_trust(context_.limits.trust, peer_.trusted, buffer, exchange.head);
    if (verdict.fault.error != Error::kNone)
        return refuse(verdict.fault.error, verdict.fault.offset);
    exchange.scheme = verdict.scheme;
    exchange.script_name = verdict.script_name;
    Error script = check_script_name();
    if (script != Error::kNone) return refuse(script, exchange.head.target.offset);
    return Next::kRead;
}

Next Connection::resume(std::string_view head, Body body, std::string_view body_bytes,
                        std::string_view pipelined) {
    phase_ = Phase::kHead;
    exchange_ = context_.exchanges.get();
    Exchange& exchange = *exchange_;
    exchange.peer = peer_;
    exchange.bytes.append(head);
    auto length = static_cast<uint32_t>(head.size());
    bool whole = parser_.parse(exchange.bytes.data(), length, exchange.head) ==
                     http::ParseStatus::kComplete &&
                 exchange.head.length == length && judge_head() == Next::kRead;
    if (!whole) return Next::kClose;
    identify();
    exchange.body = std::move(body);
    if (!body_bytes.empty()) {
        exchange.body.set_inline(length, body_bytes.size());
        exchange.bytes.append(body_bytes);
    }
    pipelined_.append(pipelined);
    return ready();
}

bool Connection::exceeds_limit(uint64_t present, uint64_t more) const {
    uint64_t bound = context_.limits.body_bytes_max;
    return bound != 0 && (present > bound || more > bound - present);
}

// The bytes behind the head are already in the exchange's buffer: they are the body's or, behind
// the body, the next request's.
Next Connection::begin_body(int64_t now_ms) {
    Exchange& exchange = *exchange_;
    const Limits& limits = context_.limits;
    uint32_t head_length = exchange.head.length;
    std::string_view rest = exchange.bytes.view().substr(head_length);
    if (exchange.head.body == http::BodyKind::kNone) {
        pipelined_.append(rest);
        exchange.bytes.truncate(head_length);
        return ready();
    }
    uint64_t length = exchange.head.content_length;
    bool chunked = exchange.head.body == http::BodyKind::kChunked;
    if (!chunked && exceeds_limit(0, length)) return refuse(Error::kBodyTooLarge, head_length);
    phase_ = Phase::kBody;
    body_began_ms_ = now_ms;
    rest_began_ms_ = kNever;
    body_received_ = 0;
    set_body_deadline(now_ms);
    body_left_ = length;
    chunked_.reset();
    streamed_bytes_ = 0;
    bool in_place = !chunked && length <= limits.body_memory_bytes_max;
    bool whole = in_place && length <= rest.size();
    if (!whole && streams()) return begin_stream(now_ms);
    if (!chunked && !in_place && !context_.spills.has_room(length))
        return refuse(Error::kStorageLimit, head_length);
    if (exchange.head.expect_continue && rest.empty()) {
        exchange.continue_sent = true;
        out.append_copy("HTTP/1.1 100 Continue\r\n\r\n");
    }
    if (in_place) {
        // The body stays where it is, right behind the head.
        exchange.body.set_inline(head_length, length);
        uint64_t here = std::min<uint64_t>(rest.size(), length);
        pipelined_.append(rest.substr(here));
        exchange.bytes.truncate(head_length + here);
        body_left_ -= here;
        body_received_ = here;
        return body_left_ == 0 ? ready() : Next::kRead;
    }
    base::Buffer moved;
    moved.append(rest);
    exchange.bytes.truncate(head_length);
    exchange.bytes.shrink();
    return moved.empty() ? Next::kRead : feed(moved.view(), now_ms);
}

// A client that only announces a body costs nothing: no memory, and no descriptor.
bool Connection::store(std::string_view bytes) {
    Exchange& exchange = *exchange_;
    if (exchange.body.in_place()) {
        exchange.bytes.reserve(body_left_);
        exchange.bytes.append(bytes);
        return true;
    }
    return exchange.body.append(bytes, context_.limits.body_memory_bytes_max, context_.spills);
}

Next Connection::refuse_unstored() {
    Error error = context_.spills.at_limit() ? Error::kStorageLimit : Error::kStorageFull;
    return refuse(error, exchange_->head.length);
}

// Between two pieces client_body_timeout, and for the whole of it as long again and a second for
// each body_rate_min bytes: else a body of any size could trickle for ever.
void Connection::set_body_deadline(int64_t now_ms) {
    const Limits& limits = context_.limits;
    set_deadline(now_ms, limits.body_ms_max);
    too_slow_ = false;
    if (limits.body_rate_min == 0) return;
    int64_t grace_ms = limits.body_ms_max > 0 ? limits.body_ms_max : kBodyGraceMs;
    auto earned_ms = static_cast<int64_t>(body_received_ * 1'000 / limits.body_rate_min);
    int64_t due_ms = body_began_ms_ + grace_ms + earned_ms;
    too_slow_ = due_ms < deadline_ms_;
    deadline_ms_ = std::min(deadline_ms_, due_ms);
}

Next Connection::feed_body(std::string_view bytes, int64_t now_ms) {
    body_received_ += bytes.size();
    set_body_deadline(now_ms);
    bool chunked = exchange_->head.body == http::BodyKind::kChunked;
    return chunked ? feed_chunked(bytes) : feed_length(bytes);
}

Next Connection::feed_length(std::string_view bytes) {
    std::string_view mine = bytes.substr(0, std::min<uint64_t>(bytes.size(), body_left_));
    if (!store(mine)) return refuse_unstored();
    pipelined_.append(bytes.substr(mine.size()));
    body_left_ -= mine.size();
    return body_left_ == 0 ? ready() : Next::kRead;
}

Next Connection::feed_chunked(std::string_view bytes) {
    Exchange& exchange = *exchange_;
    while (true) {
        http::ChunkedDecoder::Step step = chunked_.next(bytes);
        bytes.remove_prefix(step.consumed);
        switch (step.event) {
            case http::ChunkedDecoder::Event::kNeedMore:
                return exceeds_limit(exchange.body.size(), chunked_.chunk_left())
                           ? refuse(Error::kBodyTooLarge, exchange.head.length)
                           : Next::kRead;
            case http::ChunkedDecoder::Event::kFailed:
                return refuse(chunked_.error(), exchange.head.length + chunked_.error_offset());
            case http::ChunkedDecoder::Event::kEnd:
                pipelined_.append(bytes);
                return ready();
            case http::ChunkedDecoder::Event::kData:
                break;
        }
        // The whole chunk, as announced: what is refused is not stored first.
        if (exceeds_limit(exchange.body.size(), step.data.size() + chunked_.chunk_left()))
            return refuse(Error::kBodyTooLarge, exchange.head.length);
        if (!store(step.data)) return refuse_unstored();
    }
}

bool Connection::streams() const {
    const http::RequestHead& head = exchange_->head;
    uint64_t above = context_.limits.buffering.stream_above(
        exchange_->text(head.path), context_.stream_bodies ? 0 : config::kNeverStreamed);
    if (head.body == http::BodyKind::kChunked) return above != config::kNeverStreamed;
    return head.content_length > above;
}

// The request goes out with what has arrived of its body.
Next Connection::begin_stream(int64_t now_ms) {
    Exchange& exchange = *exchange_;
    base::Buffer rest;
    rest.append(exchange.bytes.view().substr(exchange.head.length));
    exchange.bytes.truncate(exchange.head.length);
    exchange.bytes.shrink();
    phase_ = Phase::kStream;
    exchange.ready_us = context_.now_us;
    exchange.streamed = true;
    exchange.body_complete = false;
    if (rest.empty()) {
        if (awaits_continue()) rest_clock(now_ms);
        return Next::kDispatch;
    }
    Next next = feed_stream(rest.view(), now_ms);
    return next == Next::kRefused || next == Next::kClose ? next : Next::kDispatch;
}

// RFC 9110 section 10.1.1: who has begun to send waits no longer.
bool Connection::awaits_continue() const {
    return phase_ == Phase::kStream && exchange_->head.expect_continue &&
           !exchange_->continue_sent && body_received_ == 0;
}

void Connection::want_body(int64_t now_ms) {
    if (!awaits_continue() || !clock_rests()) return;
    if (!exchange_->response.begun()) {
        exchange_->continue_sent = true;
        out.append_copy("HTTP/1.1 100 Continue\r\n\r\n");
    }
    run_clock(now_ms);
}

void Connection::body_taken(int64_t now_ms) {
    bool on = phase_ == Phase::kStream && clock_rests() && wants_bytes() && !awaits_continue();
    if (on) run_clock(now_ms);
}

// The clock of a streamed body rests while it is the client that waits: for its 100 Continue, or
// for the application to take what has come.
void Connection::rest_clock(int64_t now_ms) {
    if (!clock_rests()) rest_began_ms_ = now_ms;
    deadline_ms_ = kNever;
    if (!out.empty()) set_deadline(now_ms, context_.limits.send_ms_max);
}

void Connection::run_clock(int64_t now_ms) {
    if (clock_rests()) body_began_ms_ += now_ms - rest_began_ms_;
    rest_began_ms_ = kNever;
    set_body_deadline(now_ms);
}

Next Connection::end_stream(std::string_view rest, int64_t now_ms) {
    pipelined_.append(rest);
    exchange_->body_complete = true;
    phase_ = Phase::kReady;
    deadline_ms_ = kNever;
    if (!out.empty()) set_deadline(now_ms, context_.limits.send_ms_max);
    return Next::kBody;
}

Next Connection::feed_stream(std::string_view bytes, int64_t now_ms) {
    Exchange& exchange = *exchange_;
    body_received_ += bytes.size();
    run_clock(now_ms);
    if (exchange.head.body == http::BodyKind::kLength) {
        std::string_view mine = bytes.substr(0, std::min<uint64_t>(bytes.size(), body_left_));
        exchange.incoming.append(mine);
        body_left_ -= mine.size();
        if (body_left_ == 0) return end_stream(bytes.substr(mine.size()), now_ms);
        if (!wants_bytes()) rest_clock(now_ms);
        return Next::kBody;
    }
    while (true) {
        http::ChunkedDecoder::Step step = chunked_.next(bytes);
        bytes.remove_prefix(step.consumed);
        if (step.event == http::ChunkedDecoder::Event::kFailed)
            return refuse(chunked_.error(), exchange.head.length + chunked_.error_offset());
        if (step.event == http::ChunkedDecoder::Event::kEnd) return end_stream(bytes, now_ms);
        streamed_bytes_ += step.data.size();
        if (exceeds_limit(streamed_bytes_, chunked_.chunk_left()))
            return refuse(Error::kBodyTooLarge, exchange.head.length);
        if (step.event == http::ChunkedDecoder::Event::kNeedMore) {
            if (!wants_bytes()) rest_clock(now_ms);
            return Next::kBody;
        }
        exchange.incoming.append(step.data);
    }
}

Next Connection::ready() {
    phase_ = Phase::kReady;
    exchange_->ready_us = context_.now_us;
    deadline_ms_ = kNever;
    return Next::kDispatch;
}

Next Connection::refuse(Error error, uint64_t offset) {
    exchange_->body_fault = error;
    // Half an answer has left: an error page behind it would be taken for its body.
    if (exchange_->response.begun()) return Next::kClose;
    if (exchange_->id.empty()) identify();
    const http::ErrorInfo& info = http::describe(error);
    refusal_ = {error, offset};
    out.append_copy(server_page(context_.limits, *exchange_, info.status, info.detail));
    phase_ = Phase::kFlush;
    exchange_->response.forbid_keep_alive();
    deadline_ms_ = kNever;
    return Next::kRefused;
}

Next Connection::refuse_running(Error error, int64_t now_ms) {
    const http::ErrorInfo& info = http::describe(error);
    refusal_ = {error, 0};
    exchange_->body_fault = error;
    out.append_copy(server_page(context_.limits, *exchange_, info.status, info.detail));
    unread_ = phase_ == Phase::kStream;
    phase_ = Phase::kFlush;
    set_deadline(now_ms, context_.limits.send_ms_max);
    return Next::kRefused;
}

Next Connection::refuse_waiting(Error error, int64_t now_ms) {
    if (phase_ == Phase::kHead && !parser_.started()) return Next::kClose;
    unread_ = phase_ != Phase::kReady;
    Next next = refuse(error, 0);
    set_deadline(now_ms, context_.limits.send_ms_max);
    return next;
}

// How far a body that is cut short came, from the request's first byte.
uint64_t Connection::body_offset() const {
    const Exchange& exchange = *exchange_;
    if (exchange.head.body == http::BodyKind::kChunked)
        return exchange.head.length + exchange.body.size();
    return exchange.head.length + exchange.head.content_length - body_left_;
}

Next Connection::end_of_input() {
    // RFC 9112 section 8: a request cut short is never answered.
    return phase_ == Phase::kReady || phase_ == Phase::kFlush ? Next::kRead : Next::kClose;
}

Next Connection::expire(int64_t) {
    switch (phase_) {
        case Phase::kHead:
            // An empty line behind the last request is not yet one (RFC 9112 section 2.2).
            if (!parser_.started()) return Next::kClose;
            return refuse(Error::kHeadTimeout, exchange_->bytes.size());
        case Phase::kBody:
        case Phase::kStream:
            return refuse(too_slow_ ? Error::kBodyTooSlow : Error::kBodyTimeout, body_offset());
        case Phase::kIdle:
        case Phase::kReady:
        case Phase::kUpgraded:
        case Phase::kFlush:
        case Phase::kLinger:
        case Phase::kClosed:
            return Next::kClose;
    }
    return Next::kClose;
}

base::Buffer Connection::upgrade() {
    phase_ = Phase::kUpgraded;
    deadline_ms_ = kNever;
    return std::move(pipelined_);
}

void Connection::finished(int64_t now_ms) {
    // The rest of an unread body is nobody's: lingering throws it away.
    unread_ = phase_ == Phase::kStream;
    if (unread_) exchange_->response.forbid_keep_alive();
    phase_ = Phase::kFlush;
    set_deadline(now_ms, context_.limits.send_ms_max);
}

void Connection::progressed(int64_t now_ms) {
    if (phase_ == Phase::kReady && out.empty()) {
        deadline_ms_ = kNever;  // the application takes its time: that is not the client's fault
    } else if (phase_ == Phase::kFlush || phase_ == Phase::kReady) {
        set_deadline(now_ms, context_.limits.send_ms_max);
    } else if (phase_ == Phase::kStream && clock_rests()) {
        rest_clock(now_ms);
    }
}

void Connection::linger(int64_t now_ms, int64_t span_ms) {
    phase_ = Phase::kLinger;
    pipelined_.release();
    deadline_ms_ = now_ms + span_ms;
}

Next Connection::flushed(int64_t now_ms) {
    if (phase_ != Phase::kFlush) return Next::kRead;
    bool refused = refusal_.error != Error::kNone;
    bool goes_on = persists();
    if (exchange_ != nullptr) context_.exchanges.put(exchange_);
    exchange_ = nullptr;
    ++served_;
    if (!goes_on) {
        // Unread input would turn close() into RST and take the answer with it.
        if (!refused && !unread_ && pipelined_.empty()) return Next::kClose;
        linger(now_ms, kLingerMs);
        return Next::kRead;
    }
    phase_ = Phase::kIdle;
    parser_.reset();
    set_deadline(now_ms, context_.limits.keepalive_ms_max);
    if (pipelined_.empty()) return Next::kRead;
    base::Buffer bytes = std::move(pipelined_);
    return feed(bytes.view(), now_ms);
}

}  // namespace mono::session
