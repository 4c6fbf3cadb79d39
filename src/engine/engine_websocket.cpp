// WebSockets: a link whose bytes go through a websocket::WebSocket instead of its connection. The
// exchange that was upgraded gets the messages; everything runs under the engine's lock.
#include "base/clock.hpp"
#include "engine/engine.hpp"

namespace mono::engine {

using session::Exchange;
using session::Next;
using websocket::WebSocket;

namespace {

constexpr size_t kPackedUnderLockMax = 4096;  // a larger message is compressed beside the lock

}  // namespace

bool Engine::upgrade(Handle handle, std::string_view head,
                     const std::optional<websocket::DeflateParams>& deflate) {
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
    link->socket_input = link->connection.upgrade();
    if (farewell_said_) link->socket->close(kServiceRestart, "", now_ms_);
    unhold(*link);
    feed_waiting(*link);
    drive(*link, Next::kRead);
    return true;
}

// Reads as far as the inbox has room, and returns how far that was; the rest waits for the
// application. So does a fault, until the application has had its chance to answer the messages in
// front of it.
size_t Engine::feed_socket(Link& link, char* bytes, size_t size) {
    Exchange* exchange = link.connection.exchange();
    size_t at = 0;
    while (true) {
        if (exchange != nullptr && exchange->inbox->full()) {
            if (at < size) link.socket->pause(true, now_ms_);
            return at;
        }
        WebSocket::Step step = link.socket->next(bytes + at, size - at, now_ms_);
        at += step.consumed;
        if (step.event == WebSocket::Event::kNeedMore) return size;
        if (step.event == WebSocket::Event::kEnded) break;
        if (step.event == WebSocket::Event::kFault) {
            if (exchange != nullptr && !exchange->inbox->awaited) return size;
            link.socket->fail(now_ms_);
            break;
        }
        if (exchange == nullptr) continue;  // the application has left
        exchange->inbox->messages.push_back({std::string(step.data), step.text});
        exchange->inbox->bytes += step.data.size();
        exchange->inbox->awaited = false;
        note_event(exchange, EventKind::kBody);
    }
    note_end(link);
    return size;
}

// What had no room in the inbox.
void Engine::feed_waiting(Link& link) {
    base::ByteQueue& input = link.socket_input;
    if (input.empty()) return;
    link.socket->pause(false, now_ms_);
    input.take(feed_socket(link, input.data(), input.size()));
}

void Engine::note_end(Link& link) {
    Exchange* exchange = link.connection.exchange();
    if (exchange == nullptr) return;
    exchange->inbox->ended = true;
    exchange->inbox->end = link.socket->end();
    note_event(exchange, EventKind::kBody);
}

// The peer will send no more, or the connection is broken.
Next Engine::end_input(Link& link) {
    if (link.socket->end_of_input()) note_end(link);
    return Next::kRead;
}

// Tells of a fault that had to wait. Meanwhile nothing was read.
void Engine::fail_socket(Link& link) {
    link.socket->fail(now_ms_);
    note_end(link);
}

// Our Close; whoever broke the protocol hears of that instead.
void Engine::shut_socket(Link& link, uint16_t code, std::string_view reason) {
    if (link.socket->phase() == WebSocket::Phase::kFaulty)
        fail_socket(link);
    else
        link.socket->close(code, reason, now_ms_);
    drive(link, Next::kRead);
}

void Engine::expire_socket(Link& link) {
    if (link.socket->phase() == WebSocket::Phase::kFaulty)
        fail_socket(link);
    else if (link.socket->expire(now_ms_))
        note_end(link);
    drive(link, Next::kRead);
}

WriteStatus Engine::send_message(Handle handle, Piece piece, bool text) {
    Lock lock(mutex_);
    Exchange* exchange = find(handle);
    if (exchange == nullptr) return WriteStatus::kOver;
    Link* link = exchange->link;
    if (link == nullptr || !link->socket) return WriteStatus::kGone;
    WebSocket::Sent sent = WebSocket::Sent::kRefused;
    if (link->socket->compresses(piece.bytes.size())) {
        sent = send_packed(lock, handle, piece.bytes, text);
        exchange = find(handle);
        if (exchange == nullptr) return WriteStatus::kOver;
        link = exchange->link;
    } else {
        look_at_clock();
        sent = link->socket->send(piece.bytes, text, piece.owner, now_ms_);
    }
    if (sent == WebSocket::Sent::kRefused || link == nullptr) return WriteStatus::kGone;
    exchange->inbox->sent_bytes += piece.bytes.size();
    if (drive(*link, Next::kRead)) crowd(*link);
    forget_released();
    return sent == WebSocket::Sent::kShared ? WriteStatus::kKept : WriteStatus::kDone;
}

// Others do not wait for the lock while a large message is compressed. One message at a time: the
// peer has to read them in the order in which they were compressed.
WebSocket::Sent Engine::send_packed(Lock& lock, Handle handle, std::string_view message,
                                    bool text) {
    const auto socket = [&]() -> WebSocket* {
        const Exchange* exchange = find(handle);
        bool there = exchange != nullptr && exchange->link != nullptr;
        return there ? exchange->link->socket.get() : nullptr;
    };
    ++waiting_writers_;
    waits_->room.wait(lock, [&] { return socket() == nullptr || !socket()->deflater_is_lent(); });
    --waiting_writers_;
    if (socket() == nullptr) return WebSocket::Sent::kRefused;
    std::unique_ptr<websocket::Deflater> deflater = socket()->lend_deflater();
    base::Buffer packed;
    const bool large = message.size() > kPackedUnderLockMax;
    if (large) lock.unlock();
    deflater->compress(message, packed);
    if (large) lock.lock();
    look_at_clock();
    if (socket() == nullptr) return WebSocket::Sent::kRefused;
    const WebSocket::Sent sent =
        socket()->send_packed(std::move(deflater), packed.view(), text, now_ms_);
    note_room();
    return sent;
}

void Engine::close_socket(Handle handle, uint16_t code, std::string_view reason) {
    Lock lock(mutex_);
    const Exchange* exchange = find(handle);
    Link* link = exchange == nullptr ? nullptr : exchange->link;
    if (link == nullptr || !link->socket) return;
    look_at_clock();
    shut_socket(*link, code, reason);
}

bool Engine::socket_ended(Handle handle, websocket::WebSocketEnd& end) {
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
        drive(*link, Next::kRead);
        return false;
    }
    message = std::move(inbox.messages.front());
    inbox.messages.pop_front();
    inbox.bytes -= message.data.size();
    if (link == nullptr || link->socket_input.empty() || inbox.full()) return true;
    look_at_clock();
    feed_waiting(*link);
    drive(*link, Next::kRead);
    return true;
}

// The application is done; the closing handshake may go on without it.
void Engine::leave_socket(Link& link) {
    Exchange* exchange = link.connection.detach_exchange();
    put_away(*exchange, Ending::kAnswered);
    feed_waiting(link);
    drive(link, Next::kRead);
}

}  // namespace mono::engine
