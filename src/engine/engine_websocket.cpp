// WebSockets: a link whose bytes go through a session::WebSocket instead of its connection. The
// exchange that was upgraded gets the messages; everything runs under the engine's lock.
#include "base/clock.hpp"
#include "engine/engine.hpp"

namespace mono::engine {

using session::Exchange;
using session::WebSocket;

namespace {

constexpr int kReceivesInARow = 8;

}  // namespace

bool Engine::upgrade(Handle handle, std::string_view head,
                     const std::optional<http::WsDeflateParams>& deflate) {
    Lock lock(mutex_);
    Exchange* found = find(handle);
    Link* link = found == nullptr ? nullptr : found->link;
    if (link == nullptr || link->socket) return false;
    Exchange& exchange = *found;
    look_at_clock();
    requests_.cancel(exchange.timer);
    recorder_.respond(exchange);
    base::Chain& out = link->connection.out;
    out.append_copy(head);
    link->socket = std::make_unique<WebSocket>(options_.websocket, deflate, out, now_ms_);
    exchange.inbox = std::make_unique<session::SocketInbox>();
    base::Buffer early = link->connection.upgrade();
    if (sockets_told_) link->socket->close(kServiceRestart, "", now_ms_);
    if (!feed_socket(*link, early.data(), early.size())) return true;
    if (!link->readable || read_socket(*link)) poll_link(*link);
    return true;
}

bool Engine::read_socket(Link& link) {
    for (int round = 0; round < kReceivesInARow; ++round) {
        if (!link.wants_bytes() || !link.socket_input.empty()) return true;
        os::IoResult got = os::receive(link.fd.get(), {scratch_.get(), session::kReceiveBytes});
        if (got.status == os::IoStatus::kAgain) {
            link.readable = false;
            return poll_link(link);
        }
        if (got.status != os::IoStatus::kDone) {
            link.readable = false;
            return link.socket->end_of_input() ? end_socket(link) : settle_socket(link);
        }
        if (!feed_socket(link, scratch_.get(), got.bytes)) return false;
    }
    return later(link);
}

// Reads as far as the inbox has room; the rest waits for the application. So does a fault, until
// the application has had its chance to answer the messages in front of it.
bool Engine::feed_socket(Link& link, char* bytes, size_t size) {
    Exchange* exchange = link.connection.exchange();
    size_t at = 0;
    while (true) {
        if (exchange != nullptr && exchange->inbox->full()) {
            link.socket_input.append({bytes + at, size - at});
            link.socket->pause(true, now_ms_);
            break;
        }
        WebSocket::Step step = link.socket->next(bytes + at, size - at, now_ms_);
        at += step.consumed;
        if (step.event == WebSocket::Event::kEnded) return end_socket(link);
        if (step.event == WebSocket::Event::kNeedMore) break;
        if (step.event == WebSocket::Event::kFault) {
            if (exchange != nullptr && !exchange->inbox->awaited) break;
            link.socket->fail(now_ms_);
            return end_socket(link);
        }
        if (exchange == nullptr) continue;  // the application has left
        exchange->inbox->messages.push_back({std::string(step.data), step.text});
        exchange->inbox->bytes += step.data.size();
        exchange->inbox->awaited = false;
        note_event(exchange, EventKind::kBody);
    }
    return settle_socket(link);
}

bool Engine::end_socket(Link& link) {
    Exchange* exchange = link.connection.exchange();
    if (exchange != nullptr) {
        exchange->inbox->ended = true;
        exchange->inbox->end = link.socket->end();
        note_event(exchange, EventKind::kBody);
    }
    return settle_socket(link);
}

// Tells of a fault that had to wait. Meanwhile nothing was read.
bool Engine::fail_socket(Link& link) {
    link.socket->fail(now_ms_);
    return end_socket(link) && (!link.readable || read_socket(link));
}

// Our Close; whoever broke the protocol hears of that instead.
bool Engine::shut_socket(Link& link, uint16_t code, std::string_view reason) {
    if (link.socket->phase() == WebSocket::Phase::kFaulty) return fail_socket(link);
    link.socket->close(code, reason, now_ms_);
    return settle_socket(link);
}

// Sends what there is to send, and closes what is closed.
bool Engine::settle_socket(Link& link) {
    if (link.socket->phase() == WebSocket::Phase::kClosed) {
        close_link(link);
        return false;
    }
    if (!link.connection.out.empty() && !link.blocked) return flush_and_advance(link);
    if (link.connection.out.empty() && link.socket->phase() == WebSocket::Phase::kFlush) {
        close_link(link);
        return false;
    }
    // Our half is said; what still comes is thrown away until the peer closes its own.
    if (link.connection.out.empty() && link.socket->phase() == WebSocket::Phase::kLinger)
        os::shutdown_write(link.fd.get());
    rearm(link);
    return true;
}

void Engine::expire_socket(Link& link) {
    if (link.socket->phase() == WebSocket::Phase::kFaulty) {
        fail_socket(link);
    } else if (link.socket->expire(now_ms_)) {
        end_socket(link);
    } else {
        settle_socket(link);
    }
}

WriteStatus Engine::send_message(Handle handle, Piece piece, bool text) {
    Lock lock(mutex_);
    Exchange* exchange = find(handle);
    if (exchange == nullptr) return WriteStatus::kOver;
    Link* link = exchange->link;
    if (link == nullptr || !link->socket) return WriteStatus::kGone;
    look_at_clock();
    WebSocket::Sent sent = link->socket->send(piece.bytes, text, piece.owner, now_ms_);
    if (sent == WebSocket::Sent::kRefused) return WriteStatus::kGone;
    exchange->inbox->sent_bytes += piece.bytes.size();
    if (settle_socket(*link)) crowd(*link);
    forget_released();
    return sent == WebSocket::Sent::kShared ? WriteStatus::kKept : WriteStatus::kDone;
}

void Engine::close_socket(Handle handle, uint16_t code, std::string_view reason) {
    Lock lock(mutex_);
    const Exchange* exchange = find(handle);
    Link* link = exchange == nullptr ? nullptr : exchange->link;
    if (link == nullptr || !link->socket) return;
    look_at_clock();
    shut_socket(*link, code, reason);
}

bool Engine::socket_ended(Handle handle, session::WebSocketEnd& end) {
    Lock lock(mutex_);
    const Exchange* exchange = find(handle);
    if (exchange == nullptr) return true;
    if (exchange->inbox) end = exchange->inbox->end;
    return exchange->link == nullptr || (exchange->inbox && exchange->inbox->ended);
}

bool Engine::take_message(Handle handle, session::SocketMessage& message) {
    Lock lock(mutex_);
    const Exchange* exchange = find(handle);
    if (exchange == nullptr || !exchange->inbox) return false;
    session::SocketInbox& inbox = *exchange->inbox;
    Link* link = exchange->link;
    if (inbox.messages.empty()) {
        inbox.awaited = true;
        if (link == nullptr || link->socket->phase() != WebSocket::Phase::kFaulty) return false;
        look_at_clock();
        fail_socket(*link);
        return false;
    }
    message = std::move(inbox.messages.front());
    inbox.messages.pop_front();
    inbox.bytes -= message.data.size();
    if (link == nullptr || link->socket_input.empty() || inbox.full()) return true;
    look_at_clock();
    base::Buffer rest = std::move(link->socket_input);
    link->socket->pause(false, now_ms_);
    if (feed_socket(*link, rest.data(), rest.size()) && link->socket_input.empty() &&
        link->readable)
        read_socket(*link);
    return true;
}

// The application is done; the closing handshake may go on without it.
void Engine::leave_socket(Link& link) {
    Exchange* exchange = link.connection.detach_exchange();
    put_away(*exchange, Ending::kAnswered);
    if (!link.socket_input.empty()) {
        base::Buffer rest = std::move(link.socket_input);
        link.socket->pause(false, now_ms_);
        if (!feed_socket(link, rest.data(), rest.size())) return;
    }
    settle_socket(link);
}

}  // namespace mono::engine
