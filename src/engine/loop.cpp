//   drive ──▶ act ──▶ work_of ──▶ send | advance | receive ──┐
//              ▲                                             │ Next
//              └─────────────────────────────────────────────┘
//
// Reading only fills the connection, the connection says what is to be done (session::Next), and
// that only changes state: what there is to send, to go on with or to read is looked at afterwards.
#include "engine/loop.hpp"

#include <utility>

#include "engine/core.hpp"
#include "http/bounds.hpp"
#include "os/socket.hpp"

namespace mono::engine {

using session::Next;
using session::Phase;

namespace {

// Sends, answers and receives (of 64 KiB) of one connection; then others get their turn.
constexpr int kStepsInARow = 16;
constexpr int kVectors = 16;

}  // namespace

Loop::Loop(Core& core) : core_(core), scratch_(new char[session::kReceiveBytes]) {}

bool Loop::drive(Link& link, Next next) {
    for (int step = 0; act(link, next); ++step) {
        const Work work = work_of(link);
        if (work == Work::kNone) return rest(link);
        if (step == kStepsInARow) return later(link);
        next = perform(link, work);
    }
    return false;
}

Loop::Work Loop::work_of(Multiplexer& multiplexer, const Link& link) const {
    if (multiplexer.has_output() || link.transport.unsent()) {
        if (!link.blocked) return Work::kSend;
    } else if (multiplexer.over()) {
        return Work::kClose;
    }
    if (multiplexer.has_news()) return Work::kSettle;
    return link.readable ? Work::kReceive : Work::kNone;
}

Loop::Work Loop::work_of(const Link& link) const {
    if (link.multiplexer) return work_of(*link.multiplexer, link);
    if (link.socket && link.socket->over()) return Work::kClose;
    if (!link.all_sent()) {
        if (!link.blocked && !link.held) return Work::kSend;
    } else if (link.connection.phase() == Phase::kFlush && !link.boxed) {
        return Work::kAdvance;
    }
    return link.readable && link.wants_bytes() ? Work::kReceive : Work::kNone;
}

Next Loop::perform(Link& link, Work work) {
    switch (work) {
        case Work::kSend:
            return send(link) ? Next::kRead : Next::kClose;
        case Work::kAdvance:
            return advance(link);
        case Work::kReceive:
            return receive(link);
        case Work::kSettle:
            return link.multiplexer->settle();
        case Work::kClose:
            return link.multiplexer ? part(link) : Next::kClose;
        case Work::kNone:
            break;
    }
    return Next::kRead;
}

// The last GOAWAY is on its way. What still comes (acknowledgements, window updates) would turn a
// close into a reset, which takes answers with it that the peer has not read yet.
Next Loop::part(Link& link) {
    const bool broken = link.multiplexer->broken();
    link.multiplexer->close_streams();
    link.multiplexer.reset();
    if (broken || link.eof) return Next::kClose;
    link.connection.linger(core_.now.ms, http::kLingerMs);
    link.transport.end_output();
    return Next::kRead;
}

// Does what the connection says. Nothing is sent or read here. False: the link was closed.
bool Loop::act(Link& link, Next next) {
    switch (next) {
        case Next::kClose:
            core_.links.close(link);
            return false;
        case Next::kRefused:
            core_.answers.note_refusal(link);
            core_.ready.remove(*link.connection.exchange());  // if nobody took it
            core_.links.release_handed_out(link);
            core_.outgoing.unhold(link);
            return true;
        case Next::kBody:
            core_.turns.note(link.connection.exchange(), EventKind::kBody);
            core_.waiters.readers().wake_all();
            return true;
        case Next::kDispatch:
            dispatch(link);
            return true;
        case Next::kRead:
            return true;
    }
    return true;
}

// A request is complete, or its head is and its body streams: it waits for the application.
void Loop::dispatch(Link& link) {
    session::Exchange* exchange = link.connection.exchange();
    core_.recorder.begin(*exchange, link.transport.bare_fd());
    exchange->link = &link;
    if (link.stream != nullptr) exchange->head.become_http2();
    if (!core_.options.limits.readiness_path.empty() &&
        exchange->text(exchange->head.path) == core_.options.limits.readiness_path)
        return core_.answers.answer_probe(link);
    core_.ready.push(*exchange);
    // Pipelined behind an answer that ended between two turns.
    if (core_.ready.size() == 1) core_.bell.ring();
}

// There is nothing to do: the poller and the wheel tell when there is.
bool Loop::rest(Link& link) {
    // Our half is said; what still comes is thrown away until the peer closes its own. Once: on a
    // unix socket each shutdown(2) is an event to ourselves.
    if (link.socket && link.all_sent() && !link.half_closed &&
        link.socket->phase() == websocket::WebSocket::Phase::kLinger) {
        link.half_closed = true;
        link.transport.end_output();
    }
    rearm(link);
    const bool waits = link.blocked || link.socket || link.wants_bytes();
    return link.polled || !waits || core_.links.poll(link);
}

// The rest of a turn that was cut short: the poller reports the stream again, to whoever waits for
// its descriptor, in this process's threads or in an event loop around it.
bool Loop::later(Link& link) {
    rearm(link);
    if (link.stream != nullptr) {
        link.stream->call_again();
        return true;
    }
    if (!link.polled) return core_.links.poll(link);
    if (core_.poller.remind(link.transport.fd(), link.key)) return true;
    core_.links.close(link);
    return false;
}

void Loop::rearm(Link& link) {
    int64_t deadline = link.deadline_ms();
    if (deadline != session::Connection::kNever) core_.links.arm(link, deadline);
}

bool Loop::push(Link& link) {
    core_.outgoing.unhold(link);
    for (int step = 0; !link.all_sent() && !link.blocked; ++step) {
        if (step == kStepsInARow) return later(link);
        if (send(link)) continue;
        core_.links.close(link);
        return false;
    }
    return rest(link);
}

// One system call's worth. False: the connection is broken.
bool Loop::send(Link& link) {
    if (link.multiplexer && !link.transport.unsent()) return link.multiplexer->flush();
    session::Connection& connection = link.connection;
    base::Chain& out = connection.out;
    const base::Chain::FileRange file = out.front_file();
    os::IoResult sent;
    if (file.fd >= 0) {
        sent = link.transport.send_file(file.fd, file.offset, file.length);
    } else if (out.empty()) {
        sent = link.transport.flush();
    } else {
        iovec vectors[kVectors];
        sent = link.transport.send(vectors, out.gather(vectors, kVectors));
    }
    if (sent.status == os::IoStatus::kAgain) {
        link.blocked = true;
        if (connection.deadline_ms() == session::Connection::kNever)
            connection.progressed(core_.now.ms);
        return true;
    }
    if (sent.status != os::IoStatus::kDone) return false;
    if (!out.empty()) out.consume(sent.bytes, core_.released);
    if (out.empty()) link.output_spill.reset();
    progressed(link);
    return true;
}

void Loop::progressed(Link& link) {
    session::Connection& connection = link.connection;
    connection.progressed(core_.now.ms);
    if (link.socket) link.socket->progressed(core_.now.ms);
    session::Exchange* exchange = connection.exchange();
    if (exchange != nullptr && exchange->wants_room &&
        connection.out.bytes() <= session::kOutputLowBytes) {
        exchange->wants_room = false;
        core_.turns.note(exchange, EventKind::kRoom);
    }
    core_.waiters.writers().wake_all();
}

// A whole response has left: the next request, or the end.
Next Loop::advance(Link& link) {
    session::Connection& connection = link.connection;
    if (connection.broken_reply()) return Next::kClose;
    const session::Exchange* exchange = connection.exchange();  // nullptr: refused while it ran
    if (exchange != nullptr && exchange->response.given_away()) {
        // Its client hears of the end, whoever of the application still holds the socket.
        link.transport.end_output();
        return Next::kClose;
    }
    if (std::exchange(link.delimited, false)) link.transport.reset_on_close(false);
    core_.answers.note_finished(link, true);
    if (!connection.persists() && !link.eof) {
        // Closing with unread input would be a reset, which takes the answer with it
        // (RFC 9112 section 9.6): what is there makes the connection linger.
        os::IoResult got = link.transport.receive({scratch_.get(), session::kReceiveBytes});
        if (got.status == os::IoStatus::kDone) [[maybe_unused]]
            Next kept = connection.feed({scratch_.get(), got.bytes}, core_.now.ms);
        if (got.status == os::IoStatus::kEof) link.eof = link.readable = true;
    }
    Next next = connection.flushed(core_.now.ms);
    if (link.stream != nullptr) {
        link.stream->finish();
        return Next::kClose;
    }
    if (core_.drain.begun() && connection.phase() == Phase::kIdle)
        core_.drain.note_idle(core_.now.ms);
    if (connection.phase() == Phase::kLinger) link.transport.end_output();
    return next;
}

Next Loop::receive(Link& link) {
    if (link.opening && link.opening->step != Opening::Step::kTls)
        return core_.openings.look(link, {scratch_.get(), session::kReceiveBytes});
    os::IoResult got = link.transport.receive({scratch_.get(), session::kReceiveBytes});
    if (link.opening) {
        const Next next = core_.openings.shake(link);
        if (next != Next::kRead || !link.transport.channel()) return next;
    }
    if (got.status == os::IoStatus::kAgain) {
        link.readable = false;
        return Next::kRead;
    }
    if (got.status != os::IoStatus::kDone) {
        link.readable = false;
        link.eof = true;
        if (link.multiplexer) return Next::kClose;
        if (link.socket) return core_.sockets.end_input(link);
        return got.status == os::IoStatus::kEof ? link.connection.end_of_input() : Next::kClose;
    }
    // A short read of a stream has emptied it (epoll(7)); a FIN behind it shows as eof.
    if (got.bytes < session::kReceiveBytes && link.polled && !link.eof) link.readable = false;
    if (link.multiplexer) return link.multiplexer->feed({scratch_.get(), got.bytes});
    if (!link.socket) return link.connection.feed({scratch_.get(), got.bytes}, core_.now.ms);
    const size_t taken = core_.sockets.feed(link, scratch_.get(), got.bytes);
    link.socket_input.append({scratch_.get() + taken, got.bytes - taken});
    return Next::kRead;
}

}  // namespace mono::engine
