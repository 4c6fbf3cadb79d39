#include "engine/socket_calls.hpp"

#include <memory>
#include <utility>

#include "engine/core.hpp"

namespace mono::engine {

using session::Exchange;
using session::Next;
using websocket::WebSocket;

bool SocketCalls::upgrade(Handle handle, std::string_view head,
                          const std::optional<websocket::DeflateParams>& deflate) {
    Lock lock(core_.mutex);
    Exchange* found = core_.exchanges.find(handle);
    Link* link = found == nullptr ? nullptr : found->link;
    if (link == nullptr || link->socket) return false;
    Exchange& exchange = *found;
    core_.now.look();
    core_.deadlines.cancel(exchange);
    core_.recorder.respond(exchange);
    base::Chain& out = link->connection.out;
    out.append_copy(head);
    link->socket = std::make_unique<WebSocket>(core_.options.websocket, deflate, out, core_.now.ms);
    exchange.inbox = std::make_unique<session::SocketInbox>();
    link->socket_input = link->connection.upgrade();
    if (core_.drain.farewell_said()) link->socket->close(kServiceRestart, "", core_.now.ms);
    core_.outgoing.unhold(*link);
    core_.sockets.feed_waiting(*link);
    core_.loop.drive(*link, Next::kRead);
    return true;
}

WriteStatus SocketCalls::send_message(Handle handle, Piece piece, bool text) {
    Lock lock(core_.mutex);
    Exchange* exchange = core_.exchanges.find(handle);
    if (exchange == nullptr) return WriteStatus::kOver;
    Link* link = exchange->link;
    if (link == nullptr || !link->socket) return WriteStatus::kGone;
    WebSocket::Sent sent = WebSocket::Sent::kRefused;
    if (link->socket->compresses(piece.bytes.size())) {
        sent = core_.sockets.send_packed(lock, handle, piece.bytes, text);
        exchange = core_.exchanges.find(handle);
        if (exchange == nullptr) return WriteStatus::kOver;
        link = exchange->link;
    } else {
        core_.now.look();
        sent = link->socket->send(piece.bytes, text, piece.owner, core_.now.ms);
    }
    if (sent == WebSocket::Sent::kRefused || link == nullptr) return WriteStatus::kGone;
    exchange->inbox->sent_bytes += piece.bytes.size();
    if (core_.loop.drive(*link, Next::kRead)) core_.outgoing.crowd(*link);
    core_.outgoing.forget_released();
    return sent == WebSocket::Sent::kShared ? WriteStatus::kKept : WriteStatus::kDone;
}

void SocketCalls::close_socket(Handle handle, uint16_t code, std::string_view reason) {
    Lock lock(core_.mutex);
    const Exchange* exchange = core_.exchanges.find(handle);
    Link* link = exchange == nullptr ? nullptr : exchange->link;
    if (link == nullptr || !link->socket) return;
    core_.now.look();
    core_.sockets.shut(*link, code, reason);
}

bool SocketCalls::socket_ended(Handle handle, websocket::WebSocketEnd& end) {
    Lock lock(core_.mutex);
    const Exchange* exchange = core_.exchanges.find(handle);
    if (exchange == nullptr) return true;
    if (exchange->inbox) end = exchange->inbox->end;
    return exchange->link == nullptr || (exchange->inbox && exchange->inbox->ended);
}

bool SocketCalls::take_message(Handle handle, session::SocketMessage& message) {
    Lock lock(core_.mutex);
    const Exchange* exchange = core_.exchanges.find(handle);
    if (exchange == nullptr || !exchange->inbox) return false;
    session::SocketInbox& inbox = *exchange->inbox;
    Link* link = exchange->link;
    if (inbox.messages.empty()) {
        inbox.awaited = true;
        if (link == nullptr || link->socket->phase() != WebSocket::Phase::kFaulty) return false;
        core_.now.look();
        core_.sockets.fail(*link);
        core_.loop.drive(*link, Next::kRead);
        return false;
    }
    message = std::move(inbox.messages.front());
    inbox.messages.pop_front();
    inbox.bytes -= message.data.size();
    if (link == nullptr || link->socket_input.empty() || inbox.full()) return true;
    core_.now.look();
    core_.sockets.feed_waiting(*link);
    core_.loop.drive(*link, Next::kRead);
    return true;
}

}  // namespace mono::engine
