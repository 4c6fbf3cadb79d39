#include "engine/answers.hpp"

#include <algorithm>
#include <string>

#include "base/clock.hpp"
#include "engine/core.hpp"
#include "http/bounds.hpp"
#include "http/date.hpp"
#include "http/response_head.hpp"
#include "http1/other_protocol.hpp"
#include "log/access_record.hpp"
#include "os/socket.hpp"

namespace mono::engine {

using session::Exchange;

namespace {

// One metric of a Server-Timing field (W3C): durations are in milliseconds.
void append_timing(std::string_view name, int64_t duration_us, std::string& text) {
    if (duration_us < 0) return;
    if (!text.empty()) text += ", ";
    const std::string fraction = std::to_string(1'000 + duration_us % 1'000);
    text.append(name).append(";dur=").append(std::to_string(duration_us / 1'000));
    text.append(".").append(fraction, 1);
}

}  // namespace

session::ResponseContext Answers::response_context() {
    const time_t now = base::unix_seconds();
    if (now != date_second_) {
        date_second_ = now;
        date_ = http::format_date(now);
    }
    return {core_.options.server, date_,
            !core_.drain.begun() && core_.options.limits.keepalive_ms_max > 0};
}

// What the server says beside the application, where it shall; never in its place.
void Answers::add_own_fields(Exchange& exchange) {
    http::ResponseHead& head = exchange.response.head;
    const std::string& name = core_.options.limits.request_id_header;
    // Both texts are valid: the name was checked at the start, the id has a narrower grammar.
    [[maybe_unused]] http::HeadFault fault = http::HeadFault::kNone;
    if (!name.empty() && !head.has(name)) fault = head.add(name, exchange.request_id());
    if (!core_.options.server_timing) return;
    core_.now.look();
    std::string text;
    append_timing("balancer", exchange.balancer_wait_us(), text);
    append_timing("queue", exchange.queue_us(), text);
    append_timing("app", Exchange::between(exchange.dispatched_us, core_.now.us), text);
    fault = head.add("Server-Timing", text);
}

// The application answers: no deadline of its request is left.
void Answers::begin_response(Exchange& exchange, const session::ResponseContext& context,
                             int64_t known_length) {
    add_own_fields(exchange);
    exchange.response.begin(exchange.head, context, known_length);
    core_.recorder.respond(exchange);
    core_.deadlines.cancel(exchange);
    if (core_.drain.farewell_said()) core_.drainer.bid_farewell(exchange);
}

// An answer that ends with its connection must not look whole when this process ends in its midst,
// be it by SIGKILL: until the last byte has left, any close() is a reset.
void Answers::guard_end(const Exchange& exchange) {
    Link* link = exchange.link;
    if (link == nullptr || !exchange.response.close_delimited() || exchange.response.no_body())
        return;
    link->delimited = true;
    link->transport.reset_on_close(true);
}

char* Answers::buffer(size_t bytes) {
    buffer_.clear();
    return buffer_.reserve(bytes);
}

void Answers::fill_wire(Exchange& exchange, const Piece& piece, int64_t known_length, bool last,
                        Wire& wire) {
    session::Response& response = exchange.response;
    session::ResponseContext context = response_context();
    bool first = !response.begun();
    if (!exchange.body_complete) context.may_persist = false;  // the rest of it would be in the way
    if (first) begin_response(exchange, context, known_length);
    session::Response::Frame frame = response.frame(piece.bytes.size(), last);
    bool copied = frame.body_length <= http::kCopiedBytesMax;
    size_t room = (first ? response.head_size_max(context) : 0) + sizeof frame.prefix +
                  (copied ? frame.body_length : 0) + frame.suffix.size();
    wire.whole = last || response.exhausted();
    bool boxed = wire.whole && copied && core_.outgoing.may_box(exchange);
    char* begin = boxed ? core_.outbox.reserve(room) : nullptr;
    wire.boxed = begin != nullptr;
    if (first && !wire.boxed) guard_end(exchange);
    if (!wire.boxed) begin = buffer(room);
    char* at = begin;
    if (first) at += response.write_head(context, at);
    at = std::copy_n(frame.prefix, frame.prefix_length, at);
    if (copied) {
        at = std::copy_n(piece.bytes.data(), frame.body_length, at);
        at = std::copy_n(frame.suffix.data(), frame.suffix.size(), at);
    } else {
        wire.body = piece.bytes.substr(0, frame.body_length);
        wire.suffix = frame.suffix;
    }
    wire.lead = {begin, static_cast<size_t>(at - begin)};
}

WriteStatus Answers::write_piece(Exchange& exchange, const Piece& piece, int64_t known_length,
                                 bool last) {
    Link* link = exchange.link;
    if (link == nullptr) {
        // Nobody listens; the framing still advances, for the access log and the length check.
        Wire ignored;
        fill_wire(exchange, piece, known_length, last, ignored);
        return WriteStatus::kGone;
    }
    Wire wire;
    fill_wire(exchange, piece, known_length, last, wire);
    if (wire.boxed && wire.size() != 0) return core_.outgoing.box(*link, wire);
    return transmit(*link, wire, piece.owner);
}

WriteStatus Answers::transmit(Link& link, const Wire& wire, void* owner) {
    base::Chain& out = link.connection.out;
    if (wire.size() == 0 && (wire.whole || out.empty())) return WriteStatus::kDone;
    bool hold_back = !wire.whole && core_.io_thread.runs() && !core_.io_thread.leads() &&
                     out.bytes() + wire.size() <= kHeldBytesMax;
    if (hold_back) {
        WriteStatus status = keep(link, wire, 0, owner);
        core_.outgoing.hold(link);
        return status;
    }
    // What waits goes first: in one call with the rest, unless the rest would have to be stored.
    bool together = out.bytes() + wire.size() <= session::kOutputMemoryBytesMax;
    if (!out.empty() && !together && !link.blocked && !core_.loop.push(link))
        return WriteStatus::kGone;
    size_t sent = 0;
    if (out.empty()) {
        iovec vectors[3] = {{const_cast<char*>(wire.lead.data()), wire.lead.size()},
                            {const_cast<char*>(wire.body.data()), wire.body.size()},
                            {const_cast<char*>(wire.suffix.data()), wire.suffix.size()}};
        os::IoResult result = wire.body.empty()
                                  ? link.transport.send(wire.lead.data(), wire.lead.size())
                                  : link.transport.send(vectors, 3);
        if (result.status == os::IoStatus::kBroken || result.status == os::IoStatus::kEof) {
            core_.links.close(link);
            return WriteStatus::kGone;
        }
        sent = result.bytes;
    }
    if (sent == wire.size() && !link.transport.unsent()) return WriteStatus::kDone;
    WriteStatus status = keep(link, wire, sent, owner);
    if (link.blocked || core_.loop.push(link)) return status;
    return status == WriteStatus::kKept ? status : WriteStatus::kGone;
}

// Puts what is unsent into the chain: by reference where an owner keeps it alive, else copied.
WriteStatus Answers::keep(Link& link, const Wire& wire, size_t sent, void* owner) {
    base::Chain& out = link.connection.out;
    auto rest = [&sent](std::string_view bytes) {
        size_t gone = std::min(sent, bytes.size());
        sent -= gone;
        return bytes.substr(gone);
    };
    out.append_copy(rest(wire.lead));
    std::string_view body = rest(wire.body);
    const bool shared = owner != nullptr && !body.empty();
    if (shared) {
        out.append_shared(body, owner);
    } else {
        out.append_copy(body);
    }
    out.append_copy(rest(wire.suffix));
    if (out.memory_bytes() > session::kOutputMemoryBytesMax) core_.outgoing.crowd(link);
    return shared ? WriteStatus::kKept : WriteStatus::kDone;
}

WriteStatus Answers::write_file(Exchange& exchange, os::Fd file, uint64_t offset, uint64_t length) {
    session::Response& response = exchange.response;
    session::ResponseContext context = response_context();
    bool first = !response.begun();
    if (!exchange.body_complete) context.may_persist = false;
    if (first) begin_response(exchange, context, static_cast<int64_t>(length));
    session::Response::Frame frame = response.frame(length, true);
    Link* link = exchange.link;
    if (link == nullptr) return WriteStatus::kGone;
    if (first) guard_end(exchange);
    char* begin = buffer(response.head_size_max(context) + sizeof frame.prefix);
    size_t head = first ? response.write_head(context, begin) : 0;
    std::copy_n(frame.prefix, frame.prefix_length, begin + head);
    base::Chain& out = link->connection.out;
    out.append_copy({begin, head + frame.prefix_length});
    if (frame.body_length != 0) {
        out.append_file(file.get(), offset, frame.body_length);
        file.release();
    }
    out.append_copy(frame.suffix);
    if (link->blocked || core_.loop.push(*link)) return WriteStatus::kDone;
    return WriteStatus::kGone;
}

void Answers::put_page(Exchange& exchange, uint16_t status, std::string_view page) {
    std::string line = std::to_string(status) + " " + std::string(http::reason_phrase(status));
    exchange.response.clear();
    // The line is ours: it cannot be invalid.
    [[maybe_unused]] http::HeadFault fault = exchange.response.head.set_status(line);
    Link* link = exchange.link;
    if (link != nullptr) link->connection.out.append_copy(page);
}

void Answers::note_mismatch(const Exchange& exchange) {
    const session::Response& response = exchange.response;
    if (!response.begun() || response.given_away() || exchange.link == nullptr) return;
    std::string what;
    if (response.owed() != 0) {
        what = "gave " + std::to_string(response.owed()) +
               " bytes less than its Content-Length; the connection is closed";
    } else if (response.dropped() && !response.no_body()) {
        what = response.has_length() ? "gave more bytes than its Content-Length; they were dropped"
                                     : "gave bytes behind its end; they were dropped";
    } else if (response.dropped() && !exchange.head.head_method) {
        what = "gave a body with a status that has none; it was dropped";
    } else {
        return;
    }
    core_.notices.say(Severity::kWarning,
                      "The application's answer to " +
                          std::string(exchange.text(exchange.head.method)) + " " +
                          std::string(exchange.text(exchange.head.target)) + " " + what);
}

void Answers::give_back(Exchange& exchange, bool whole) {
    ++exchange.generation;
    if (core_.process.foreign) return;
    --core_.slots.busy;
    ++core_.slots.epoch;
    core_.now.look();
    core_.slots.changed_ms = core_.now.ms;
    exchange.finished_us = core_.now.us;
    if (core_.io_thread.leads()) core_.io_thread.kick();
    exchange.handed_out = false;
    if (exchange.streamed) core_.waiters.readers().wake_all();
    core_.waiters.writers().wake_all();  // other threads that write to it
    core_.deadlines.cancel(exchange);
    if (exchange.lateness != Exchange::Lateness::kNone) {
        if (core_.deadlines.overdue().forget(exchange)) core_.deadlines.tell_untold(exchange);
    }
    if (exchange.inbox) log_access(exchange, kSwitchingProtocols, exchange.inbox->sent_bytes);
    Link* link = exchange.link;
    if (link != nullptr && link->socket) {
        core_.sockets.leave(*link);
    } else if (link == nullptr) {
        // Unless the server has answered in the application's place.
        if (exchange.counted && !exchange.inbox)
            log_access(exchange, exchange.response.head.status(), exchange.response.body_bytes());
        bool answered = exchange.inbox || exchange.delivered;
        put_away(exchange, answered ? Ending::kAnswered : Ending::kAborted);
    } else {
        if (!whole) {
            link->connection.break_reply();
            exchange.response.forbid_keep_alive();
        }
        link->connection.finished(core_.now.ms);
        core_.outgoing.unhold(*link);
        if (!link->boxed) core_.loop.drive(*link, session::Next::kRead);
    }
    core_.outgoing.forget_released();
    // A nested engine's loop hears of it by its descriptor.
    if (core_.listeners.paused() && (core_.rounds.led() || core_.options.nested))
        core_.acceptor.watch();
    if (!core_.ready.empty()) core_.waiters.takers().wake_one();
}

void Answers::put_away(Exchange& exchange, Ending ending) {
    core_.recorder.end(exchange, ending);
    core_.recorder.leave(exchange);
    core_.exchanges.put(&exchange);
}

void Answers::log_access(const Exchange& exchange, uint16_t status, uint64_t body_bytes,
                         http::Error error) {
    if (core_.options.keep_unrun && exchange.dispatched_us == 0) {
        core_.notices.add_unrun(exchange, status, body_bytes, error);
    }
    if (!core_.access_log.present()) return;
    log::AccessRecord record;
    record.buffer = exchange.bytes.data();
    record.head = &exchange.head;
    record.remote_addr = exchange.peer.host;
    record.status = status;
    record.body_bytes = body_bytes;
    // Of a refusal while the application runs, they are not; and its thread may be writing them.
    if (!exchange.handed_out) record.response_fields = exchange.response.head.fields();
    record.duration_us = exchange.started_us == 0 ? 0 : base::monotonic_us() - exchange.started_us;
    record.finished_unix_us = base::unix_us();
    record.pid = core_.process.pid;
    if (exchange.peer.facts) record.variables = exchange.peer.facts->variables;
    record.request_id = exchange.request_id();
    record.trace_id = exchange.text(exchange.trace_id);
    record.balancer_us = exchange.balancer_wait_us();
    record.read_us = exchange.read_us();
    record.queue_us = exchange.queue_us();
    record.application_us = exchange.application_us();
    core_.access_log.append(record);
}

void Answers::note_finished(Link& link, bool whole) {
    if (link.connection.refusal().error != http::Error::kNone) return;
    Exchange& exchange = *link.connection.exchange();
    core_.recorder.end(exchange, whole ? Ending::kAnswered : Ending::kAborted);
    log_access(exchange, exchange.response.head.status(), exchange.response.body_bytes());
}

// Contract: "Invalid request from ip=..." and here the rule and where it was broken. What a running
// request is refused for, its runner tells.
void Answers::note_refusal(Link& link) {
    const session::Refusal& refusal = link.connection.refusal();
    const http::ErrorInfo& info = http::describe(refusal.error);
    Exchange& exchange = *link.connection.exchange();
    if (exchange.counted) {
        core_.recorder.end(exchange, Ending::kRefused);
    } else {
        core_.recorder.refuse_unread();
    }
    log_access(exchange, info.status, 0, refusal.error);
    if (exchange.handed_out && refusal.error == http::Error::kRequestTimeout) return;
    std::string more;
    if (http1::is_other_protocol(refusal.error)) {
        // A proxy that is configured so says it with each connection.
        std::optional<std::string> told = other_protocol_.ask(core_.now.ms);
        if (!told) return;
        more = *std::move(told);
    }
    std::string text = info.status == 503 ? "Refused a request" : "Invalid request";
    text += " from ip=" + std::string(link.connection.peer().shown()) + ": " +
            std::string(info.detail) + " [" + std::string(info.rule) + " at byte " +
            std::to_string(refusal.offset) + ", answered " + std::to_string(info.status) +
            ", request id " + std::string(exchange.request_id()) + "]" + more;
    core_.notices.say(Severity::kWarning, std::move(text));
}

// It leaves in the same turn.
void Answers::answer_probe(Link& link) {
    Exchange& exchange = *link.connection.exchange();
    std::string_view body = core_.drain.begun() ? "stopping\n" : "ready\n";
    [[maybe_unused]] http::HeadFault fault = exchange.response.head.set_status(
        core_.drain.begun() ? "503 Service Unavailable" : "200 OK");
    fault = exchange.response.head.add("Content-Type", "text/plain");
    Wire wire;
    fill_wire(exchange, {body, nullptr}, static_cast<int64_t>(body.size()), true, wire);
    link.connection.out.append_copy(wire.lead);
    link.connection.finished(core_.now.ms);
}

}  // namespace mono::engine
