// The way of a response: from the application's pieces to the socket, tried at once; what the
// kernel does not take goes into the connection's chain (and on into a file: engine_spill.cpp).
#include <algorithm>
#include <cstring>

#include "base/clock.hpp"
#include "engine/engine.hpp"
#include "http/bounds.hpp"
#include "http/date.hpp"
#include "http/response_head.hpp"
#include "http1/other_protocol.hpp"
#include "log/access_record.hpp"
#include "os/files.hpp"
#include "session/server_page.hpp"

namespace mono::engine {

using session::Exchange;

namespace {

constexpr uint16_t kSwitchingProtocols = 101;
constexpr uint32_t kBoxedFrom = 2;  // waiting requests: fewer are not worth the standby's attention

// One metric of a Server-Timing field (W3C): durations are in milliseconds.
void append_timing(std::string_view name, int64_t duration_us, std::string& text) {
    if (duration_us < 0) return;
    if (!text.empty()) text += ", ";
    const std::string fraction = std::to_string(1'000 + duration_us % 1'000);
    text.append(name).append(";dur=").append(std::to_string(duration_us / 1'000));
    text.append(".").append(fraction, 1);
}

}  // namespace

// One transmission: `lead` (head and chunk prefix, and a small body with its suffix) lies in
// outgoing_ or the outbox; a large body is referenced between lead and suffix.
struct Engine::Wire {
    std::string_view lead;
    std::string_view body;
    std::string_view suffix;
    bool whole = false;  // nothing of the response comes behind it
    bool boxed = false;  // lead is all of it, and lies in the outbox
    size_t size() const { return lead.size() + body.size() + suffix.size(); }
};

session::ResponseContext Engine::response_context() {
    const time_t now = base::unix_seconds();
    if (now != date_second_) {
        date_second_ = now;
        date_ = http::format_date(now);
    }
    return {options_.server, date_, !draining_ && options_.limits.keepalive_ms_max > 0};
}

// What the server says beside the application, where it shall; never in its place.
void Engine::add_own_fields(Exchange& exchange) {
    http::ResponseHead& head = exchange.response.head;
    const std::string& name = options_.limits.request_id_header;
    // Both texts are valid: the name was checked at the start, the id has a narrower grammar.
    [[maybe_unused]] http::HeadFault fault = http::HeadFault::kNone;
    if (!name.empty() && !head.has(name)) fault = head.add(name, exchange.request_id());
    if (!options_.server_timing) return;
    look_at_clock();
    std::string text;
    append_timing("balancer", exchange.balancer_wait_us(), text);
    append_timing("queue", exchange.queue_us(), text);
    append_timing("app", Exchange::between(exchange.dispatched_us, now_us_), text);
    fault = head.add("Server-Timing", text);
}

// The application answers: no deadline of its request is left.
void Engine::begin_response(Exchange& exchange, const session::ResponseContext& context,
                            int64_t known_length) {
    add_own_fields(exchange);
    exchange.response.begin(exchange.head, context, known_length);
    recorder_.respond(exchange);
    requests_.cancel(exchange.timer);
    if (farewell_said_) bid_farewell(exchange);
}

// An answer that ends with its connection must not look whole when this process ends in its midst,
// be it by SIGKILL: until the last byte has left, any close() is a reset.
void Engine::guard_end(const Exchange& exchange) {
    Link* link = exchange.link;
    if (link == nullptr || !exchange.response.close_delimited() || exchange.response.no_body())
        return;
    link->delimited = true;
    os::reset_on_close(link->fd.get(), true);
}

char* Engine::outgoing(size_t bytes) {
    outgoing_.clear();
    return outgoing_.reserve(bytes);
}

void Engine::fill_wire(Exchange& exchange, const Piece& piece, int64_t known_length, bool last,
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
    bool boxed = wire.whole && copied && may_box(exchange);
    char* begin = boxed ? outbox_.reserve(room) : nullptr;
    wire.boxed = begin != nullptr;
    if (first && !wire.boxed) guard_end(exchange);
    if (!wire.boxed) begin = outgoing(room);
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

WriteStatus Engine::write(Handle handle, Piece piece, int64_t known_length, bool last) {
    Lock lock(mutex_);
    if (ready_head_ == nullptr) flush_outbox();  // the last of a run
    Exchange* exchange = wait_for_room(lock, handle);
    if (exchange == nullptr) return WriteStatus::kOver;
    return write_piece(*exchange, piece, known_length, last);
}

std::optional<WriteStatus> Engine::try_write(Handle handle, Piece piece, int64_t known_length,
                                             bool last) {
    Lock lock(mutex_, std::try_to_lock);
    bool small = piece.bytes.size() <= http::kCopiedBytesMax;
    if (!lock || !small) return std::nullopt;
    Exchange* exchange = find(handle);
    if (exchange == nullptr) return WriteStatus::kOver;
    if (!may_box(*exchange)) return std::nullopt;
    return write_piece(*exchange, piece, known_length, last);
}

WriteStatus Engine::write_piece(Exchange& exchange, const Piece& piece, int64_t known_length,
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
    if (wire.boxed && wire.size() != 0) return box(*link, wire);
    return transmit(*link, wire, piece.owner);
}

// Not when nobody waits for the application, and not behind a slow one: the standby flies beside
// it.
bool Engine::may_box(const Exchange& exchange) const {
    uint32_t enough = outbox_.empty() ? kBoxedFrom : 1;
    return ready_count_ >= enough && standby_.joinable() && !standby_flying_ && !draining_ &&
           exchange.link != nullptr && exchange.link->connection.out.empty();
}

WriteStatus Engine::box(Link& link, const Wire& wire) {
    if (outbox_.empty()) boxed_ms_ = now_ms_;
    outbox_.put(link, wire.size());
    hurry_standby();
    return WriteStatus::kDone;
}

WriteStatus Engine::transmit(Link& link, const Wire& wire, void* owner) {
    base::Chain& out = link.connection.out;
    if (wire.size() == 0 && (wire.whole || out.empty())) return WriteStatus::kDone;
    bool hold_back = !wire.whole && standby_.joinable() && !standby_flying_ &&
                     out.bytes() + wire.size() <= kHeldBytesMax;
    if (hold_back) {
        WriteStatus status = keep(link, wire, 0, owner);
        hold(link);
        return status;
    }
    // What waits goes first: in one call with the rest, unless the rest would have to be stored.
    bool together = out.bytes() + wire.size() <= session::kOutputMemoryBytesMax;
    if (!out.empty() && !together && !link.blocked && !push(link)) return WriteStatus::kGone;
    size_t sent = 0;
    if (out.empty()) {
        iovec vectors[3] = {{const_cast<char*>(wire.lead.data()), wire.lead.size()},
                            {const_cast<char*>(wire.body.data()), wire.body.size()},
                            {const_cast<char*>(wire.suffix.data()), wire.suffix.size()}};
        os::IoResult result =
            wire.body.empty() ? os::send_bytes(link.fd.get(), wire.lead.data(), wire.lead.size())
                              : os::send_vectors(link.fd.get(), vectors, 3);
        if (result.status == os::IoStatus::kBroken || result.status == os::IoStatus::kEof) {
            close_link(link);
            return WriteStatus::kGone;
        }
        sent = result.bytes;
    }
    if (sent == wire.size()) return WriteStatus::kDone;
    WriteStatus status = keep(link, wire, sent, owner);
    if (link.blocked || push(link)) return status;
    return status == WriteStatus::kKept ? status : WriteStatus::kGone;
}

// Puts what is unsent into the chain: by reference where an owner keeps it alive, else copied.
WriteStatus Engine::keep(Link& link, const Wire& wire, size_t sent, void* owner) {
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
    if (out.memory_bytes() > session::kOutputMemoryBytesMax) crowd(link);
    return shared ? WriteStatus::kKept : WriteStatus::kDone;
}

WriteStatus Engine::write_file(Handle handle, int fd, uint64_t offset, uint64_t length) {
    os::Fd file(fd);
    Lock lock(mutex_);
    Exchange* found = find(handle);
    if (found == nullptr) return WriteStatus::kOver;
    Exchange& exchange = *found;
    session::Response& response = exchange.response;
    session::ResponseContext context = response_context();
    bool first = !response.begun();
    if (!exchange.body_complete) context.may_persist = false;
    if (first) begin_response(exchange, context, static_cast<int64_t>(length));
    session::Response::Frame frame = response.frame(length, true);
    Link* link = exchange.link;
    if (link == nullptr) return WriteStatus::kGone;
    if (first) guard_end(exchange);
    char* begin = outgoing(response.head_size_max(context) + sizeof frame.prefix);
    size_t head = first ? response.write_head(context, begin) : 0;
    std::copy_n(frame.prefix, frame.prefix_length, begin + head);
    base::Chain& out = link->connection.out;
    out.append_copy({begin, head + frame.prefix_length});
    if (frame.body_length != 0) {
        out.append_file(file.get(), offset, frame.body_length);
        file.release();
    }
    out.append_copy(frame.suffix);
    if (link->blocked || push(*link)) return WriteStatus::kDone;
    return WriteStatus::kGone;
}

WriteStatus Engine::write_interim(Handle handle, std::string_view head) {
    Lock lock(mutex_);
    const Exchange* exchange = find(handle);
    if (exchange == nullptr) return WriteStatus::kOver;
    Link* link = exchange->link;
    if (link == nullptr) return WriteStatus::kGone;
    if (exchange->response.begun() || !exchange->head.at_least_1_1()) return WriteStatus::kDone;
    link->connection.out.append_copy(head);
    return push(*link) ? WriteStatus::kDone : WriteStatus::kGone;
}

void Engine::write_error(Handle handle, uint16_t status, std::string_view detail) {
    Lock lock(mutex_);
    Exchange* exchange = find(handle);
    if (exchange == nullptr || exchange->response.begun()) return;
    put_page(*exchange, status, session::server_page(options_.limits, *exchange, status, detail));
}

void Engine::write_page(Handle handle, uint16_t status, std::string_view page) {
    Lock lock(mutex_);
    Exchange* exchange = find(handle);
    if (exchange == nullptr) return;
    std::string named(page);
    const std::string& name = options_.limits.request_id_header;
    if (!name.empty()) http::insert_field(named, name, exchange->request_id());
    put_page(*exchange, status, named);
}

void Engine::put_page(Exchange& exchange, uint16_t status, std::string_view page) {
    std::string line = std::to_string(status) + " " + std::string(http::reason_phrase(status));
    exchange.response.clear();
    // The line is ours: it cannot be invalid.
    [[maybe_unused]] http::HeadFault fault = exchange.response.head.set_status(line);
    Link* link = exchange.link;
    if (link != nullptr) link->connection.out.append_copy(page);
}

bool Engine::is_answered(Handle handle) {
    Lock lock(mutex_);
    const Exchange* exchange = find(handle);
    return exchange == nullptr || (exchange->response.exhausted() && exchange->response.complete());
}

void Engine::give_away(Handle handle) {
    Lock lock(mutex_);
    Exchange* exchange = find(handle);
    if (exchange == nullptr) return;
    Link* link = exchange->link;
    if (link != nullptr && !link->blocked && !push(*link)) link = nullptr;
    if (link != nullptr && std::exchange(link->delimited, false))
        os::reset_on_close(link->fd.get(), false);
    exchange->response.give_away();
    recorder_.respond(*exchange);
    requests_.cancel(exchange->timer);
}

void Engine::note_status(Handle handle, std::string_view line) {
    Lock lock(mutex_);
    Exchange* exchange = find(handle);
    if (exchange == nullptr) return;
    exchange->response.head.clear();
    [[maybe_unused]] http::HeadFault fault = exchange->response.head.set_status(line);
}

bool Engine::copy_answer(Handle handle, std::string& line, std::string& fields,
                         uint64_t& body_bytes) {
    Lock lock(mutex_);
    const Exchange* exchange = find(handle);
    if (exchange == nullptr) return false;
    line = exchange->response.head.status_line();
    fields = exchange->response.head.fields();
    body_bytes = exchange->response.body_bytes();
    return true;
}

Presence Engine::presence(Handle handle) {
    Lock lock(mutex_, std::try_to_lock);
    if (!lock) return Presence::kHere;
    const Exchange* exchange = find(handle);
    if (exchange == nullptr || exchange->link == nullptr) return Presence::kGone;
    return exchange->link->eof ? Presence::kSentFin : Presence::kHere;
}

bool Engine::gone(Handle handle) {
    Lock lock(mutex_);
    const Exchange* exchange = find(handle);
    return exchange == nullptr || exchange->link == nullptr;
}

int Engine::share_socket(Handle handle, std::string* ahead) {
    Lock lock(mutex_);
    flush_outbox();
    Exchange* exchange = find(handle);
    Link* link = exchange == nullptr ? nullptr : exchange->link;
    if (link == nullptr) return -1;
    if (!link->blocked && !push(*link)) return -1;
    exchange->head.keep_alive = false;
    exchange->response.forbid_keep_alive();
    if (ahead != nullptr) *ahead = link->connection.pipelined();
    return os::duplicate(link->fd.get()).release();
}

void Engine::finish(Handle handle) {
    Lock lock(mutex_);
    Exchange* exchange = find(handle);
    if (exchange == nullptr) return;
    note_mismatch(*exchange);
    give_back(*exchange, exchange->response.complete());
}

bool Engine::try_finish(Handle handle) {
    Lock lock(mutex_, std::try_to_lock);
    if (!lock || outbox_.empty()) return false;
    Exchange* exchange = find(handle);
    if (exchange == nullptr || exchange->link == nullptr || !exchange->link->boxed) return false;
    note_mismatch(*exchange);
    give_back(*exchange, exchange->response.complete());
    return true;
}

void Engine::abandon(Handle handle) {
    Lock lock(mutex_);
    Exchange* exchange = find(handle);
    if (exchange == nullptr) return;
    exchange->response.forbid_keep_alive();
    give_back(*exchange, exchange->response.whole());
}

// Where the application's answer was not what its head had promised.
void Engine::note_mismatch(const Exchange& exchange) {
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
    say(Severity::kWarning, "The application's answer to " +
                                std::string(exchange.text(exchange.head.method)) + " " +
                                std::string(exchange.text(exchange.head.target)) + " " + what);
}

void Engine::give_back(Exchange& exchange, bool whole) {
    ++exchange.generation;
    if (foreign_) return;
    --busy_;
    ++epoch_;
    look_at_clock();
    changed_ms_ = now_ms_;
    exchange.finished_us = now_us_;
    if (standby_flying_) standby_kick_.ring();
    exchange.handed_out = false;
    if (exchange.streamed) note_body();
    note_room();  // other threads may write to it
    requests_.cancel(exchange.timer);
    if (exchange.lateness != Exchange::Lateness::kNone) {
        if (std::erase(overdue_, &exchange) != 0) tell_untold(exchange);
        std::erase(uninterrupted_, &exchange);
    }
    if (exchange.inbox) log_access(exchange, kSwitchingProtocols, exchange.inbox->sent_bytes);
    Link* link = exchange.link;
    if (link != nullptr && link->socket) {
        leave_socket(*link);
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
        link->connection.finished(now_ms_);
        unhold(*link);
        if (!link->boxed) drive(*link, session::Next::kRead);
    }
    forget_released();
    // A nested engine's loop hears of it by its descriptor.
    if (listeners_paused_ && (has_pilot_ || options_.nested)) watch_listeners();
    if (waiting_takers_ != 0 && ready_head_ != nullptr) waits_->ready_or_seat.notify_one();
}

// An exchange whose connection goes on without it, or has gone.
void Engine::put_away(Exchange& exchange, Ending ending) {
    recorder_.end(exchange, ending);
    recorder_.leave(exchange);
    exchanges_.put(&exchange);
}

void Engine::log_access(const Exchange& exchange, uint16_t status, uint64_t body_bytes,
                        http::Error error) {
    if (options_.keep_unrun && exchange.dispatched_us == 0) {
        const bool first = unrun_.empty();
        unrun_.add(exchange, status, body_bytes, error);
        call_runner(first);
    }
    if (options_.access_log == nullptr) return;
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
    record.pid = owner_pid_;
    record.request_id = exchange.request_id();
    record.trace_id = exchange.text(exchange.trace_id);
    record.balancer_us = exchange.balancer_wait_us();
    record.read_us = exchange.read_us();
    record.queue_us = exchange.queue_us();
    record.application_us = exchange.application_us();
    options_.access_log->append(record);
}

void Engine::note_finished(Link& link, bool whole) {
    if (link.connection.refusal().error != http::Error::kNone) return;
    Exchange& exchange = *link.connection.exchange();
    recorder_.end(exchange, whole ? Ending::kAnswered : Ending::kAborted);
    log_access(exchange, exchange.response.head.status(), exchange.response.body_bytes());
}

// Contract: "Invalid request from ip=..." and here the rule and where it was broken. What a running
// request is refused for, its runner tells.
void Engine::note_refusal(Link& link) {
    const session::Refusal& refusal = link.connection.refusal();
    const http::ErrorInfo& info = http::describe(refusal.error);
    Exchange& exchange = *link.connection.exchange();
    if (exchange.counted) {
        recorder_.end(exchange, Ending::kRefused);
    } else {
        recorder_.refuse_unread();
    }
    log_access(exchange, info.status, 0, refusal.error);
    if (exchange.handed_out && refusal.error == http::Error::kRequestTimeout) return;
    std::string more;
    if (http1::is_other_protocol(refusal.error)) {
        // A proxy that is configured so says it with each connection.
        std::optional<std::string> told = other_protocol_.ask(now_ms_);
        if (!told) return;
        more = *std::move(told);
    }
    const std::string& host = link.connection.peer().host;
    std::string text = info.status == 503 ? "Refused a request" : "Invalid request";
    text += " from ip=" + (host.empty() ? "unix" : host) + ": " + std::string(info.detail) + " [" +
            std::string(info.rule) + " at byte " + std::to_string(refusal.offset) + ", answered " +
            std::to_string(info.status) + ", request id " + std::string(exchange.request_id()) +
            "]" + more;
    say(Severity::kWarning, std::move(text));
}

// It leaves in the same turn.
void Engine::answer_probe(Link& link) {
    Exchange& exchange = *link.connection.exchange();
    std::string_view body = draining_ ? "stopping\n" : "ready\n";
    [[maybe_unused]] http::HeadFault fault =
        exchange.response.head.set_status(draining_ ? "503 Service Unavailable" : "200 OK");
    fault = exchange.response.head.add("Content-Type", "text/plain");
    Wire wire;
    fill_wire(exchange, {body, nullptr}, static_cast<int64_t>(body.size()), true, wire);
    link.connection.out.append_copy(wire.lead);
    link.connection.finished(now_ms_);
}

}  // namespace mono::engine
