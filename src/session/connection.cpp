#include "session/connection.hpp"

#include <algorithm>

#include "base/clock.hpp"
#include "http/bounds.hpp"
#include "http/queue_time.hpp"
#include "http/target.hpp"
#include "http1/framing.hpp"
#include "session/server_page.hpp"

namespace mono::session {

using http::Error;

namespace {

Error check_script_name(const Exchange& exchange, const Limits& limits) {
    std::string_view script = exchange.script_name.empty() ? std::string_view(limits.script_name)
                                                           : exchange.text(exchange.script_name);
    if (script.empty()) return Error::kNone;
    bool prefix = exchange.text(exchange.head.path).starts_with(script);
    return prefix ? Error::kNone : Error::kScriptNameMismatch;
}

// The client, and its scheme, by the fields of proxies before us.
http::FramingError read_client(const Limits& limits, Exchange& exchange) {
    const http::ForwardedVerdict verdict =
        http::read_forwarded(limits.trust.forwarded_allow_ips, *limits.forwarded_client,
                             exchange.bytes.data(), exchange.head);
    if (verdict.fault.error != Error::kNone) return verdict.fault;
    if (!verdict.client.empty()) {
        exchange.peer.host = exchange.text(verdict.client);
        exchange.peer.port = verdict.port;
    }
    if (verdict.scheme == http::Scheme::kTransport) return {};
    const bool said = exchange.scheme != http::Scheme::kTransport;
    if (said && exchange.scheme != verdict.scheme) return {Error::kSchemeConflict, 0};
    exchange.scheme = verdict.scheme;
    return {};
}

// Of body_bytes_max, by what is there and what is announced.
bool exceeds_limit(const Limits& limits, uint64_t present, uint64_t more) {
    uint64_t bound = limits.body_bytes_max;
    return bound != 0 && (present > bound || more > bound - present);
}

}  // namespace

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
    Next next = take(bytes, now_ms);
    // What comes behind a refusal is thrown away, like all that comes in kLinger.
    if (next != Next::kRefused && next != Next::kClose) pipelined_.append(bytes);
    return next;
}

Next Connection::take(std::string_view& bytes, int64_t now_ms) {
    switch (phase_) {
        case Phase::kIdle:
            begin_request(now_ms);
            return take_head(bytes, now_ms);
        case Phase::kHead:
            return take_head(bytes, now_ms);
        case Phase::kBody:
            return take_body(bytes, now_ms);
        case Phase::kStream:
            return take_stream(bytes, now_ms);
        case Phase::kLinger:
            linger_bytes_ += bytes.size();
            bytes = {};
            return linger_bytes_ > http::kLingerBytesMax ? Next::kClose : Next::kRead;
        case Phase::kReady:
        case Phase::kUpgraded:
        case Phase::kFlush:
            return Next::kRead;
        case Phase::kClosed:
            return Next::kClose;
    }
    return Next::kClose;
}

void Connection::begin_request(int64_t now_ms) {
    phase_ = Phase::kHead;
    exchange_ = context_.exchanges.get();
    exchange_->peer = peer_;
    exchange_->accepted_us = context_.now_us;
    set_deadline(now_ms, context_.limits.head_ms_max);
}

Next Connection::take_head(std::string_view& bytes, int64_t now_ms) {
    if (context_.uwsgi != nullptr) return take_packet(bytes, now_ms);
    base::Buffer& buffer = exchange_->bytes;
    buffer.append(bytes);
    auto length = static_cast<uint32_t>(buffer.size());
    http1::ParseStatus status = parser_.parse(buffer.data(), length, exchange_->head);
    bool complete = status == http1::ParseStatus::kComplete;
    bytes.remove_prefix(complete ? bytes.size() - (length - exchange_->head.length) : bytes.size());
    return head_parsed(status, bytes, now_ms);
}

// The packet is kept only until it is whole; from then on the request is one of HTTP.
Next Connection::take_packet(std::string_view& bytes, int64_t now_ms) {
    base::Buffer& buffer = exchange_->bytes;
    const size_t kept = buffer.size();
    if (kept != 0) buffer.append(bytes);
    uwsgi::Step step = context_.uwsgi->read(kept != 0 ? buffer.view() : bytes, *exchange_);
    switch (step.status) {
        case uwsgi::Status::kNeedMore:
            if (kept == 0) buffer.append(bytes);
            bytes = {};
            return Next::kRead;
        case uwsgi::Status::kMalformed:
            bytes = {};
            return refuse(step.fault.error, step.fault.offset);
        case uwsgi::Status::kDone:
            break;
    }
    bytes.remove_prefix(step.consumed - kept);
    auto length = static_cast<uint32_t>(buffer.size());
    http1::ParseStatus status = parser_.parse(buffer.data(), length, exchange_->head);
    exchange_->head.by_gateway = true;
    return head_parsed(status, bytes, now_ms);
}

// An empty line behind the last request is not yet one (RFC 9112 section 2.2).
bool Connection::head_started() const {
    return context_.uwsgi != nullptr ? !exchange_->bytes.empty() : parser_.started();
}

// The head is parsed where it lies: of what is pipelined, a request copies no more than its own.
Next Connection::next_request(int64_t now_ms) {
    begin_request(now_ms);
    std::string_view bytes = pipelined_.view();
    if (context_.uwsgi != nullptr) {
        Next next = take_packet(bytes, now_ms);
        pipelined_.take(pipelined_.size() - bytes.size());
        return next;
    }
    auto length = static_cast<uint32_t>(pipelined_.size());
    http1::ParseStatus status = parser_.parse(pipelined_.data(), length, exchange_->head);
    bool complete = status == http1::ParseStatus::kComplete;
    size_t mine = complete ? exchange_->head.length : bytes.size();
    exchange_->bytes.append(bytes.substr(0, mine));
    bytes.remove_prefix(mine);
    Next next = head_parsed(status, bytes, now_ms);
    pipelined_.take(pipelined_.size() - bytes.size());
    return next;
}

Next Connection::head_parsed(http1::ParseStatus status, std::string_view& bytes, int64_t now_ms) {
    switch (status) {
        case http1::ParseStatus::kNeedMore:
            return Next::kRead;
        case http1::ParseStatus::kFailed:
            return refuse(parser_.error(), parser_.error_offset());
        case http1::ParseStatus::kComplete:
            break;
    }
    exchange_->started_us = context_.now_us;
    identify();
    Next fault = judge_head();
    return fault == Next::kRead ? begin_body(bytes, now_ms) : fault;
}

// Costs a clock only where a proxy has stamped the request.
void Connection::identify() {
    Exchange& exchange = *exchange_;
    http::RequestOrigin origin =
        http::read_origin(exchange.bytes.data(), exchange.head, peer_.trusted);
    exchange.trace_id = origin.trace_id;
    if (!origin.request_id.empty()) {
        exchange.id.assign(exchange.text(origin.request_id));
    } else if (served_ == 0 && peer_.facts && http::is_request_id(peer_.facts->request_id)) {
        exchange.id.assign(peer_.facts->request_id);  // it names the connection: once
    } else {
        context_.ids.make(exchange.id);
    }
    if (origin.queue_start.empty()) return;
    int64_t waited_us = http::queue_time_us(exchange.text(origin.queue_start), base::unix_us());
    if (waited_us < 0) return;
    // Two clocks seldom agree to the microsecond.
    int64_t here_us = std::max<int64_t>(1, exchange.accepted_us);
    exchange.balancer_us = std::clamp<int64_t>(context_.now_us - waited_us, 1, here_us);
}

Next Connection::judge_head() {
    Exchange& exchange = *exchange_;
    char* buffer = exchange.bytes.data();
    http::FramingError framing = http1::apply_framing(buffer, exchange.head);
    if (framing.error != Error::kNone) return refuse(framing.error, framing.offset);
    // Fields of uwsgi are the client's: what its proxy says came beside them.
    const bool by_gateway = exchange.head.by_gateway;
    http::TrustVerdict verdict = http::apply_trust(
        context_.limits.trust, peer_.trusted && !by_gateway, buffer, exchange.head);
    if (verdict.fault.error != Error::kNone)
        return refuse(verdict.fault.error, verdict.fault.offset);
    if (!by_gateway) {
        exchange.scheme = verdict.scheme;
        exchange.script_name = verdict.script_name;
        if (peer_.trusted && context_.limits.forwarded_client) {
            http::FramingError fault = read_client(context_.limits, exchange);
            if (fault.error != Error::kNone) return refuse(fault.error, fault.offset);
        }
    }
    Error script = check_script_name(exchange, context_.limits);
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
                     http1::ParseStatus::kComplete &&
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

// The bytes behind the head are the body's or, behind the body, the next request's.
Next Connection::begin_body(std::string_view& bytes, int64_t now_ms) {
    Exchange& exchange = *exchange_;
    const Limits& limits = context_.limits;
    uint32_t head_length = exchange.head.length;
    if (exchange.head.body == http::BodyKind::kNone) {
        keep_in_place(bytes, 0);
        return ready();
    }
    uint64_t length = exchange.head.content_length;
    bool chunked = exchange.head.body == http::BodyKind::kChunked;
    if (!chunked && exceeds_limit(context_.limits, 0, length))
        return refuse(Error::kBodyTooLarge, head_length);
    phase_ = Phase::kBody;
    body_began_ms_ = now_ms;
    rest_began_ms_ = kNever;
    body_received_ = 0;
    set_body_deadline(now_ms);
    body_left_ = length;
    chunked_.reset();
    streamed_bytes_ = 0;
    bool in_place = !chunked && length <= limits.body_memory_bytes_max;
    bool whole = in_place && length <= bytes.size();
    if (!whole && streams()) return begin_stream(bytes, now_ms);
    if (!chunked && !in_place && !context_.spills.has_room(length))
        return refuse(Error::kStorageLimit, head_length);
    if (exchange.head.expect_continue && bytes.empty()) {
        exchange.continue_sent = true;
        out.append_copy("HTTP/1.1 100 Continue\r\n\r\n");
    }
    if (in_place) {
        // The body stays where it is, right behind the head.
        exchange.body.set_inline(head_length, length);
        body_received_ = std::min<uint64_t>(bytes.size(), length);
        body_left_ -= body_received_;
        keep_in_place(bytes, body_received_);
        return body_left_ == 0 ? ready() : Next::kRead;
    }
    keep_in_place(bytes, 0);
    exchange.bytes.shrink();
    return bytes.empty() ? Next::kRead : take_body(bytes, now_ms);
}

// The first `count` of `bytes` are the exchange's, behind the head, where all of them may lie.
void Connection::keep_in_place(std::string_view& bytes, uint64_t count) {
    base::Buffer& buffer = exchange_->bytes;
    uint32_t head_length = exchange_->head.length;
    if (buffer.size() != head_length + count) {
        if (buffer.size() == head_length) buffer.append(bytes.substr(0, count));
        buffer.truncate(head_length + count);
        // Others' requests do not stay in this one's memory.
        bool large = buffer.capacity() > kReceiveBytes / 4;
        if (large && buffer.size() < kReceiveBytes / 8) buffer.shrink();
    }
    bytes.remove_prefix(count);
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

Next Connection::take_body(std::string_view& bytes, int64_t now_ms) {
    body_received_ += bytes.size();
    set_body_deadline(now_ms);
    bool chunked = exchange_->head.body == http::BodyKind::kChunked;
    return chunked ? take_chunked(bytes) : take_length(bytes);
}

Next Connection::take_length(std::string_view& bytes) {
    std::string_view mine = bytes.substr(0, std::min<uint64_t>(bytes.size(), body_left_));
    bytes.remove_prefix(mine.size());
    if (!store(mine)) return refuse_unstored();
    body_left_ -= mine.size();
    return body_left_ == 0 ? ready() : Next::kRead;
}

Next Connection::take_chunked(std::string_view& bytes) {
    Exchange& exchange = *exchange_;
    while (true) {
        http1::ChunkedDecoder::Step step = chunked_.next(bytes);
        bytes.remove_prefix(step.consumed);
        switch (step.event) {
            case http1::ChunkedDecoder::Event::kNeedMore:
                return exceeds_limit(context_.limits, exchange.body.size(), chunked_.chunk_left())
                           ? refuse(Error::kBodyTooLarge, exchange.head.length)
                           : Next::kRead;
            case http1::ChunkedDecoder::Event::kFailed:
                return refuse(chunked_.error(), exchange.head.length + chunked_.error_offset());
            case http1::ChunkedDecoder::Event::kEnd:
                return ready();
            case http1::ChunkedDecoder::Event::kData:
                break;
        }
        // The whole chunk, as announced: what is refused is not stored first.
        if (exceeds_limit(context_.limits, exchange.body.size(),
                          step.data.size() + chunked_.chunk_left()))
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
Next Connection::begin_stream(std::string_view& bytes, int64_t now_ms) {
    Exchange& exchange = *exchange_;
    keep_in_place(bytes, 0);
    exchange.bytes.shrink();
    phase_ = Phase::kStream;
    exchange.ready_us = context_.now_us;
    exchange.streamed = true;
    exchange.body_complete = false;
    if (bytes.empty()) {
        if (awaits_continue()) rest_clock(now_ms);
        return Next::kDispatch;
    }
    Next next = take_stream(bytes, now_ms);
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

Next Connection::end_stream(int64_t now_ms) {
    exchange_->body_complete = true;
    phase_ = Phase::kReady;
    deadline_ms_ = kNever;
    if (!out.empty()) set_deadline(now_ms, context_.limits.send_ms_max);
    return Next::kBody;
}

Next Connection::take_stream(std::string_view& bytes, int64_t now_ms) {
    Exchange& exchange = *exchange_;
    body_received_ += bytes.size();
    run_clock(now_ms);
    if (exchange.head.body == http::BodyKind::kLength) {
        std::string_view mine = bytes.substr(0, std::min<uint64_t>(bytes.size(), body_left_));
        bytes.remove_prefix(mine.size());
        exchange.incoming.append(mine);
        body_left_ -= mine.size();
        if (body_left_ == 0) return end_stream(now_ms);
        if (!wants_bytes()) rest_clock(now_ms);
        return Next::kBody;
    }
    while (true) {
        http1::ChunkedDecoder::Step step = chunked_.next(bytes);
        bytes.remove_prefix(step.consumed);
        if (step.event == http1::ChunkedDecoder::Event::kFailed)
            return refuse(chunked_.error(), exchange.head.length + chunked_.error_offset());
        if (step.event == http1::ChunkedDecoder::Event::kEnd) return end_stream(now_ms);
        streamed_bytes_ += step.data.size();
        if (exceeds_limit(context_.limits, streamed_bytes_, chunked_.chunk_left()))
            return refuse(Error::kBodyTooLarge, exchange.head.length);
        if (step.event == http1::ChunkedDecoder::Event::kNeedMore) {
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
    if (phase_ == Phase::kHead && !head_started()) return Next::kClose;
    unread_ = phase_ != Phase::kReady;
    Next next = refuse(error, 0);
    set_deadline(now_ms, context_.limits.send_ms_max);
    return next;
}

void Connection::open(PeerInfo peer, int64_t now_ms) {
    peer_ = std::move(peer);
    set_deadline(now_ms, context_.limits.head_ms_max);
}

Next Connection::refuse_opening(Error error, uint64_t offset, int64_t now_ms) {
    begin_request(now_ms);
    unread_ = true;
    Next next = refuse(error, offset);
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
            if (!head_started()) return Next::kClose;
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

base::ByteQueue Connection::upgrade() {
    phase_ = Phase::kUpgraded;
    deadline_ms_ = kNever;
    return std::exchange(pipelined_, {});
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
        linger(now_ms, http::kLingerMs);
        return Next::kRead;
    }
    phase_ = Phase::kIdle;
    parser_.reset();
    set_deadline(now_ms, context_.limits.keepalive_ms_max);
    return pipelined_.empty() ? Next::kRead : next_request(now_ms);
}

}  // namespace mono::session
