#include "engine/rounds.hpp"

#include <algorithm>
#include <array>

#include "base/clock.hpp"
#include "engine/core.hpp"
#include "os/process.hpp"

namespace mono::engine {

namespace {

constexpr int64_t kLookMs = 4;  // into the kernel, beside a queue that is never empty

}  // namespace

session::Exchange* Rounds::pop_ready() {
    if (core_.process.foreign || core_.insurance.paid()) return nullptr;
    // What waits for any worker may have waited longer than what waits for this one.
    // Who leaves its siblings behind leaves it to them.
    if (core_.relay.pending() && core_.slots.busy < core_.options.slots && !core_.links.full() &&
        core_.drain.takes_over())
        core_.hand_off.accept();
    while (!core_.ready.empty() && core_.slots.busy < core_.options.slots) {
        session::Exchange* exchange = core_.ready.front();
        if (core_.deadlines.drop_queued(*exchange)) continue;
        core_.ready.remove(*exchange);
        hand_out(*exchange);
        return exchange;
    }
    return nullptr;
}

void Rounds::hand_out(session::Exchange& exchange) {
    exchange.next = nullptr;
    exchange.handed_out = true;
    exchange.thread = os::current_thread();
    exchange.dispatched_us = core_.now.us;
    ++core_.slots.busy;
    ++core_.slots.epoch;
    core_.slots.changed_ms = core_.now.ms;
    core_.recorder.dispatch(exchange, exchange.dispatched_us);
    core_.deadlines.arm(exchange);
    publish_load();
    core_.io_thread.wake_up();
    if (!core_.ready.empty()) core_.waiters.takers().wake_one();
}

void Rounds::publish_load() {
    const uint32_t taken =
        core_.links.full() ? core_.options.slots : core_.slots.busy + core_.ready.size();
    core_.recorder.publish_load(core_.options.slots, taken, core_.drain.takes_over());
}

session::Exchange* Rounds::wait_for_request(Lock& lock, int timeout_ms, uint64_t wakes) {
    int64_t end_ms = timeout_ms < 0 ? INT64_MAX : base::monotonic_ms() + timeout_ms;
    bool last_round = false;
    while (!core_.process.foreign) {
        if (look_due()) look(lock);
        if (session::Exchange* exchange = pop_ready()) return exchange;
        if (last_round || wakes_ != wakes || core_.notices.hear()) break;
        if (core_.drainer.complete() && !core_.drainer.siblings_wait()) break;
        int64_t left_ms = timeout_ms < 0 ? -1 : std::max<int64_t>(0, end_ms - base::monotonic_ms());
        if (led_) {
            core_.waiters.takers().wait(lock, left_ms);
        } else if (!lead(lock, static_cast<int>(left_ms))) {
            last_round = true;
        }
        if (timeout_ms >= 0 && base::monotonic_ms() >= end_ms) last_round = true;
    }
    return nullptr;
}

// Requests that are read as soon as their connection's last one is answered could fill the queue,
// and with it this thread, for ever: pipelined ones, and those that come while an application that
// is done still cleans up.
bool Rounds::look_due() const {
    return !core_.ready.empty() && !led_ && core_.now.ms - looked_ms_ >= kLookMs;
}

// Between two requests: what waits in the kernel takes its place in the queue.
void Rounds::look(Lock& lock) {
    lead(lock, 0);
    if (core_.warmup.pending() || core_.listeners.resting()) return;
    for (size_t i = 0; i < core_.listeners.size(); ++i) core_.acceptor.accept_from(i, true);
}

bool Rounds::lead(Lock& lock, int timeout_ms) {
    std::array<os::Ready, os::Poller::kBatch> ready;
    led_ = true;
    core_.now.look();
    core_.acceptor.watch();
    core_.outgoing.flush_held();
    core_.outgoing.flush_outbox();
    core_.access_log.flush(core_.now.ms);
    int wait = wait_ms(timeout_ms);
    lock.unlock();
    const int count = core_.poller.wait(ready, wait);
    lock.lock();
    process({ready.data(), static_cast<size_t>(std::max(count, 0))});
    led_ = false;
    // Without a thread of ours somebody else waits on our descriptor next.
    if (core_.options.nested) core_.acceptor.watch();
    return count >= 0;
}

void Rounds::process(std::span<const os::Ready> ready) {
    core_.now.look();
    looked_ms_ = core_.now.ms;
    for (const os::Ready& one : ready) core_.links.on_event(one);
    // EPOLLEXCLUSIVE may have woken a sibling that had no slot left when it came to accept.
    const bool lost = ready.empty() && core_.listeners.shared() && !core_.listeners.paused();
    for (size_t i = 0; lost && i < core_.listeners.size(); ++i) core_.acceptor.accept_from(i);
    expire_links();
    core_.deadlines.expire();
    core_.acceptor.look_for_room();
    if (core_.drain.begun()) core_.drainer.go_on();
    core_.outgoing.forget_released();
    publish_load();
}

int Rounds::wait_ms(int timeout_ms) const {
    int64_t wait = core_.links.sleep_ms(core_.now.ms);
    int64_t requests_wait = core_.deadlines.sleep_ms(core_.now.ms);
    if (requests_wait >= 0 && (wait < 0 || requests_wait < wait)) wait = requests_wait;
    if (timeout_ms >= 0 && (wait < 0 || timeout_ms < wait)) wait = timeout_ms;
    const bool lines_wait = core_.access_log.waiting();
    if (core_.listeners.resting() || core_.drain.begun() || lines_wait || core_.links.full() ||
        !core_.deadlines.overdue().empty())
        wait = wait < 0 ? 100 : std::min<int64_t>(wait, 100);
    return static_cast<int>(std::min<int64_t>(wait, 60'000));
}

void Rounds::expire_links() {
    while (Link* link = core_.links.expired(core_.now.ms)) {
        if (link->deadline_ms() > core_.now.ms) {
            core_.loop.rearm(*link);
        } else if (link->opening) {
            core_.openings.expire(*link);
        } else if (link->multiplexer) {
            link->multiplexer->expire();
        } else if (link->socket) {
            core_.sockets.expire(*link);
        } else {
            core_.loop.drive(*link, link->connection.expire(core_.now.ms));
        }
    }
    if (core_.listeners.rested(core_.now.ms)) core_.acceptor.resume();
}

void Rounds::pass_lead() {
    if (led_) return;
    if (core_.waiters.anybody_takes())
        core_.waiters.takers().wake_one();
    else
        core_.waiters.readers().wake_all();  // whoever has nothing to take yet
}

}  // namespace mono::engine
