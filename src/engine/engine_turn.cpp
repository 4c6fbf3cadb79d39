// The nested engine: driven by an event loop that is not ours (gevent's hub, asyncio). Everything
// runs in the loop's thread; the lock is there for wake() and totals() from others.
#include <array>

#include "base/clock.hpp"
#include "engine/engine.hpp"

namespace mono::engine {
namespace {

constexpr int kRoundsMax = 4;  // then the loop's other callbacks get their turn

}  // namespace

void Engine::turn(Turn& turn, uint32_t room) {
    Lock lock(mutex_);
    if (foreign_) return;
    std::array<epoll_event, 128> events;
    in_turn_ = true;
    watch_listeners();
    int count = 0;
    int round = 0;
    do {
        count = poller_.wait(events, 0);
        process(events.data(), count);
    } while (count == static_cast<int>(events.size()) && ++round < kRoundsMax);
    for (session::Exchange* exchange; room != 0 && (exchange = pop_ready()) != nullptr; --room)
        turn.ready.push_back(exchange);
    store_crowded(lock);
    trim(lock);
    poll_all();  // their clients may leave meanwhile
    watch_listeners();
    turn.events.swap(events_);
    in_turn_ = false;
    turn.again = round == kRoundsMax || !crowded_.empty();
    flush_access_log();
}

uint64_t Engine::unsent(Handle handle) {
    Lock lock(mutex_);
    const session::Exchange* exchange = find(handle);
    const Link* link = exchange == nullptr ? nullptr : exchange->link;
    return link == nullptr ? 0 : link->connection.out.bytes();
}

bool Engine::has_room(Handle handle, uint64_t bytes_max) {
    Lock lock(mutex_);
    session::Exchange* exchange = find(handle);
    if (exchange == nullptr || exchange->link == nullptr) return true;
    exchange->wants_room = exchange->link->connection.out.bytes() > bytes_max;
    return !exchange->wants_room;
}

void* Engine::user_of(Handle handle) {
    Lock lock(mutex_);
    const session::Exchange* exchange = find(handle);
    return exchange == nullptr ? nullptr : exchange->user;
}

std::string Engine::request_id_of(Handle handle) {
    Lock lock(mutex_);
    const session::Exchange* exchange = find(handle);
    return std::string(exchange == nullptr ? "-" : exchange->request_id());
}

}  // namespace mono::engine
