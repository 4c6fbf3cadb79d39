// A streamed body on its way to the application: the rest of it is read as it is taken, and no
// more than kStreamHighBytes of it wait in memory. Whoever waits for it takes the pilot's seat, if
// that is empty, so that a thread that reads costs no switch to another one.
#include <algorithm>

#include "base/clock.hpp"
#include "engine/engine.hpp"
#include "os/process.hpp"

namespace mono::engine {

using session::BodyLease;
using session::Exchange;

std::shared_ptr<BodyLease> Engine::lease_body(Exchange& exchange) {
    Lock lock(mutex_);
    if (!exchange.lease) exchange.lease = std::make_shared<BodyLease>(&exchange);
    return exchange.lease;
}

// What the kernel has, as far as there is room; and the client is asked for it where it wants to
// be. May close the link.
void Engine::pull_body(Exchange& exchange) {
    Link* link = static_cast<Link*>(exchange.link);
    if (link == nullptr) return;
    look_at_clock();
    if (exchange.incoming.empty()) link->connection.want_body(now_ms_);
    if (!link->connection.out.empty() && !link->blocked && !flush_and_advance(*link)) return;
    if (link->readable && link->connection.wants_bytes() && !read_link(*link)) return;
    if (!link->readable) link->connection.body_taken(now_ms_);
    rearm(*link);
}

bool Engine::wait_body(const BodyLease& lease, int timeout_ms) {
    Lock lock(mutex_);
    const int64_t end_ms = base::monotonic_ms() + timeout_ms;
    const uint64_t wakes = wakes_;
    if (lease.exchange != nullptr) pull_body(*lease.exchange);
    auto awaited = [&lease] {
        const Exchange* exchange = lease.exchange;
        return exchange != nullptr && exchange->link != nullptr && !exchange->body_complete &&
               exchange->incoming.empty();
    };
    bool signalled = options_.nested;
    while (awaited() && !signalled) {
        const int64_t left_ms = end_ms - base::monotonic_ms();
        if (left_ms <= 0) break;
        if (!has_pilot_) {
            beat();
            signalled = !pilot(lock, static_cast<int>(left_ms));
            if (ready_head_ != nullptr && waiting_takers_ != 0) waits_->ready_or_seat.notify_one();
        } else {
            ++waiting_readers_;
            waits_->body.wait_for(lock, std::chrono::milliseconds(left_ms));
            --waiting_readers_;
        }
        signalled |= wakes_ != wakes;
    }
    pass_seat();
    return !awaited();
}

BodyState Engine::take_arrived(const BodyLease& lease, base::Buffer& taken, http::Error& fault) {
    Lock lock(mutex_);
    if (lease.exchange == nullptr) return BodyState::kOver;
    Exchange& exchange = *lease.exchange;
    std::swap(taken, exchange.incoming);
    if (exchange.body_complete) return BodyState::kComplete;
    fault = exchange.body_fault;
    Link* link = static_cast<Link*>(exchange.link);
    if (link == nullptr)
        return fault == http::Error::kNone ? BodyState::kGone : BodyState::kRefused;
    look_at_clock();
    // What the kernel still has, the next wait_body() reads: until then the client is not slow.
    if (!link->readable) link->connection.body_taken(now_ms_);
    rearm(*link);
    return BodyState::kMore;
}

void Engine::take_body(Exchange& exchange, base::Buffer& taken) {
    Lock lock(mutex_);
    std::swap(taken, exchange.incoming);
    pull_body(exchange);
    if (taken.empty()) std::swap(taken, exchange.incoming);
}

// Who waits for a client is alive; only the thread whose heart it is says so.
void Engine::beat() {
    if (options_.board == nullptr || os::current_thread() != owner_thread_) return;
    options_.board->slot(options_.board_slot).beat_ms.store(base::monotonic_ms());
}

void Engine::note_body() {
    if (waiting_readers_ != 0) waits_->body.notify_all();
}

// The seat never stays empty while somebody waits for it.
void Engine::pass_seat() {
    if (has_pilot_) return;
    if (waiting_takers_ != 0) {
        waits_->ready_or_seat.notify_one();
    } else if (waiting_readers_ != 0) {
        waits_->body.notify_all();  // whoever has nothing to take yet
    }
}

}  // namespace mono::engine
