#include "engine/sockets.hpp"

#include "engine/core.hpp"

namespace mono::engine {

using session::Exchange;
using session::Next;
using websocket::WebSocket;

namespace {

constexpr size_t kPackedUnderLockMax = 4096;  // a larger message is compressed beside the lock

}  // namespace

// Reads as far as the inbox has room, and returns how far that was; the rest waits for the
// application. So does a fault, until the application has had its chance to answer the messages in
// front of it.
size_t Sockets::feed(Link& link, char* bytes, size_t size) {
    Exchange* exchange = link.connection.exchange();
    size_t at = 0;
    while (true) {
        if (exchange != nullptr && exchange->inbox->full()) {
            if (at < size) link.socket->pause(true, core_.now.ms);
            return at;
        }
        WebSocket::Step step = link.socket->next(bytes + at, size - at, core_.now.ms);
        at += step.consumed;
        if (step.event == WebSocket::Event::kNeedMore) return size;
        if (step.event == WebSocket::Event::kEnded) break;
        if (step.event == WebSocket::Event::kFault) {
            if (exchange != nullptr && !exchange->inbox->awaited) return size;
            link.socket->fail(core_.now.ms);
            break;
        }
        if (exchange == nullptr) continue;  // the application has left
        exchange->inbox->messages.push_back({std::string(step.data), step.text});
        exchange->inbox->bytes += step.data.size();
        exchange->inbox->awaited = false;
        core_.turns.note(exchange, EventKind::kBody);
    }
    note_end(link);
    return size;
}

void Sockets::feed_waiting(Link& link) {
    base::ByteQueue& input = link.socket_input;
    if (input.empty()) return;
    link.socket->pause(false, core_.now.ms);
    input.take(feed(link, input.data(), input.size()));
}

void Sockets::note_end(Link& link) {
    Exchange* exchange = link.connection.exchange();
    if (exchange == nullptr) return;
    exchange->inbox->ended = true;
    exchange->inbox->end = link.socket->end();
    core_.turns.note(exchange, EventKind::kBody);
}

Next Sockets::end_input(Link& link) {
    if (link.socket->end_of_input()) note_end(link);
    return Next::kRead;
}

void Sockets::fail(Link& link) {
    link.socket->fail(core_.now.ms);
    note_end(link);
}

void Sockets::shut(Link& link, uint16_t code, std::string_view reason) {
    if (link.socket->phase() == WebSocket::Phase::kFaulty)
        fail(link);
    else
        link.socket->close(code, reason, core_.now.ms);
    core_.loop.drive(link, Next::kRead);
}

void Sockets::expire(Link& link) {
    if (link.socket->phase() == WebSocket::Phase::kFaulty)
        fail(link);
    else if (link.socket->expire(core_.now.ms))
        note_end(link);
    core_.loop.drive(link, Next::kRead);
}

// Others do not wait for the lock while a large message is compressed. One message at a time: the
// peer has to read them in the order in which they were compressed.
WebSocket::Sent Sockets::send_packed(Lock& lock, Handle handle, std::string_view message,
                                     bool text) {
    const auto socket = [&]() -> WebSocket* {
        const Exchange* exchange = core_.exchanges.find(handle);
        bool there = exchange != nullptr && exchange->link != nullptr;
        return there ? exchange->link->socket.get() : nullptr;
    };
    core_.waiters.writers().wait_until(
        lock, [&] { return socket() == nullptr || !socket()->deflater_is_lent(); });
    if (socket() == nullptr) return WebSocket::Sent::kRefused;
    std::unique_ptr<websocket::Deflater> deflater = socket()->lend_deflater();
    base::Buffer packed;
    const bool large = message.size() > kPackedUnderLockMax;
    if (large) lock.unlock();
    deflater->compress(message, packed);
    if (large) lock.lock();
    core_.now.look();
    if (socket() == nullptr) return WebSocket::Sent::kRefused;
    const WebSocket::Sent sent =
        socket()->send_packed(std::move(deflater), packed.view(), text, core_.now.ms);
    core_.waiters.writers().wake_all();
    return sent;
}

void Sockets::leave(Link& link) {
    Exchange* exchange = link.connection.detach_exchange();
    core_.answers.put_away(*exchange, Ending::kAnswered);
    feed_waiting(link);
    core_.loop.drive(link, Next::kRead);
}

}  // namespace mono::engine
