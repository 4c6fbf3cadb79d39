// Events, accept and close; what waits to be sent. Everything here runs under the engine's lock.
#include <algorithm>

#include "base/clock.hpp"
#include "engine/engine.hpp"

namespace mono::engine {

using session::Next;
using session::Phase;

namespace {

constexpr int64_t kDescriptorPauseMs = 100;
constexpr int64_t kDescriptorSayMs = 10'000;  // a line in the error log, no flood
constexpr size_t kEvictedAtOnce = 16;
constexpr int64_t kHeadPatienceMs = 500;  // where others wait for the descriptor
constexpr int64_t kRoomMs = 100;

// Some of them, and cuts the rest off.
std::vector<Link*>& longest_waiting(std::vector<Link*>& links, size_t most) {
    const size_t count = std::min(links.size(), most);
    const auto end = links.begin() + static_cast<std::ptrdiff_t>(count);
    std::partial_sort(links.begin(), end, links.end(), [](Link* left, Link* right) {
        return left->connection.deadline_ms() < right->connection.deadline_ms();
    });
    links.resize(count);
    return links;
}

}  // namespace

void Engine::on_event(const epoll_event& event) {
    uint64_t key = event.data.u64;
    if (key == kWakeupKey) {
        wakeup_.drain();
        wakes_.fetch_add(1, std::memory_order_release);
        waits_->ready_or_seat.notify_all();
        return;
    }
    if (key == kWarmupKey) return read_warmup();
    if (key == kRelayKey) {
        while (busy_ + ready_count_ < options_.slots && !full() && accept_relayed()) {
        }
        return;
    }
    if ((key & kListenerKey) != 0) {
        accept_from(static_cast<size_t>(key & ~kListenerKey));
        return;
    }
    Link* link = links_.find(key);
    if (link == nullptr) return;  // closed earlier in this batch
    if ((event.events & EPOLLERR) != 0) {
        close_link(*link);
        return;
    }
    if ((event.events & (EPOLLRDHUP | EPOLLHUP)) != 0) link->eof = true;
    // Long polls and event streams live on being told; asyncio's servers do the same. And nobody
    // waits any more for a request that is still queued.
    bool ready = link->connection.phase() == Phase::kReady;
    if (link->eof && ready &&
        (options_.stream_bodies || !link->connection.exchange()->handed_out)) {
        close_link(*link);
        return;
    }
    if ((event.events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)) != 0) link->readable = true;
    if ((event.events & EPOLLOUT) != 0) link->blocked = false;
    drive(*link, Next::kRead);
}

uint32_t Engine::budget(bool their_turn) const {
    return accept_budget({options_.slots, busy_, ready_count_, descriptors(),
                          options_.connections_max, clients_room(), options_.shared_listeners,
                          draining_ && closing_at_ms_ == 0, their_turn});
}

void Engine::accept_from(size_t listener, bool their_turn) {
    uint32_t budget = this->budget(their_turn);
    if (budget == 0 && descriptors() >= options_.connections_max) {
        make_room();
        budget = this->budget(their_turn);
        if (descriptors() >= options_.connections_max) {
            pause_listeners();
            resume_at_ms_ = now_ms_ + kDescriptorPauseMs;
        }
    }
    for (; budget != 0; --budget) {
        os::Accepted accepted = os::accept_stream(listeners_[listener]);
        if (accepted.status == os::AcceptStatus::kAgain) return;
        if (accepted.status == os::AcceptStatus::kAccepted) {
            add_connection(std::move(accepted.fd), accepted.peer, listener);
            continue;
        }
        if (accepted.status == os::AcceptStatus::kNoDescriptors) out_of_descriptors();
        pause_listeners();
        resume_at_ms_ = now_ms_ + kDescriptorPauseMs;
        return;
    }
}

void Engine::out_of_descriptors() {
    make_room();
    if (now_ms_ - descriptors_said_ms_ < kDescriptorSayMs) return;
    descriptors_said_ms_ = now_ms_;
    say(Severity::kError,
        "Cannot accept: no file descriptor or memory is left for a connection. Raise the limit of "
        "open files (ulimit -n, LimitNOFILE=)");
}

void Engine::add_connection(os::Fd fd, const os::PeerAddress& peer, size_t listener) {
    session::PeerInfo info;
    info.host = peer.host;
    info.port = peer.port;
    info.listener = static_cast<uint16_t>(listener);
    info.trusted = options_.limits.trust.forwarded_allow_ips.contains(peer.host);
    Link& link = links_.add(context_, std::move(fd), std::move(info), now_ms_);
    ++descriptors_.links;
    links_peak_ = std::max(links_peak_, links_.size());
    ++connections_accepted_;
    ++unpolled_;
    rearm(link);  // who never sends a byte has a deadline too
    // The request is often here already: then a short connection never enters the poller.
    link.readable = true;
    drive(link, Next::kRead);
}

bool Engine::poll_link(Link& link) {
    if (link.polled) return true;
    if (!poller_.add_stream(link.fd.get(), link.key)) {
        close_link(link);
        return false;
    }
    link.polled = true;
    --unpolled_;
    return true;
}

void Engine::poll_all() {
    polled_ms_ = now_ms_;
    if (unpolled_ != 0) links_.for_each([&](Link& link) { poll_link(link); });
}

void Engine::pause_listeners() {
    if (listeners_paused_) return;
    listeners_paused_ = true;
    for (int fd : listeners_) poller_.remove(fd);
    if (relay_.open()) poller_.remove(relay_.receiver());
}

void Engine::resume_listeners() {
    resume_at_ms_ = 0;
    if (!listeners_paused_ || warmup_ || (draining_ && closing_at_ms_ == 0)) return;
    listeners_paused_ = false;
    for (size_t i = 0; i < listeners_.size(); ++i) {
        if (!poller_.add_reader(listeners_[i], kListenerKey | i, options_.shared_listeners)) {
            say(Severity::kError, "A listening socket can no longer be watched");
        }
    }
    watch_relay();
}

void Engine::watch_relay() {
    if (relay_.open() && !poller_.add_reader(relay_.receiver(), kRelayKey, true))
        say(Severity::kError, "Requests of other workers can no longer be taken over");
}

// With worker_connections of them, a worker leaves newcomers to its siblings, and does not even
// hear of them (watch_listeners). Where all are full somebody waits: idle ones make room.
void Engine::look_for_room() {
    if (!full() || draining_ || now_ms_ < room_at_ms_) return;
    room_at_ms_ = now_ms_ + kRoomMs;
    bool waits = std::any_of(listeners_.begin(), listeners_.end(),
                             [](int fd) { return os::wait_readable(fd, -1, 0); });
    if (waits) evict_idle(std::clamp<size_t>(options_.clients_max / 8, 1, kEvictedAtOnce), false);
}

// Connections that wait for nothing but a next request, or linger. False: there were none.
bool Engine::evict_idle(size_t most, bool lingering) {
    std::vector<Link*> idle;
    links_.for_each([&](Link& link) {
        const Phase phase = link.connection.phase();
        if (phase == Phase::kIdle || (lingering && phase == Phase::kLinger)) idle.push_back(&link);
    });
    for (Link* link : longest_waiting(idle, most)) close_link(*link);
    return !idle.empty();
}

// Out of descriptors: idle connections make room. Where there are none, heads that do not come to
// an end do, or a few slow senders would hold all there is.
void Engine::make_room() {
    if (evict_idle(kEvictedAtOnce, true)) return;
    std::vector<Link*> slow;
    links_.for_each([&](Link& link) {
        const bool half = link.connection.phase() == Phase::kHead;
        const int64_t began_us = half ? link.connection.exchange()->accepted_us : now_us_;
        if (now_us_ - began_us >= kHeadPatienceMs * 1'000) slow.push_back(&link);
    });
    // They do not linger either: all that they have sent has been read.
    for (Link* link : longest_waiting(slow, kEvictedAtOnce)) {
        const bool open = drive(*link, link->connection.expire(now_ms_));
        if (open && link->connection.phase() == Phase::kLinger) close_link(*link);
    }
}

// The application makes the next piece: until the standby's tick both may leave together.
void Engine::hold(Link& link) {
    if (link.blocked) return;
    if (link.connection.out.bytes() >= kHeldBytesMax) {
        push(link);
        return;
    }
    if (link.held) return;
    link.held = true;
    held_.push_back(&link);
    hurry_standby();
}

void Engine::unhold(Link& link) {
    if (!link.held) return;
    link.held = false;
    std::erase(held_, &link);
}

void Engine::flush_held() {
    while (!held_.empty()) push(*held_.back());
}

void Engine::flush_outbox() {
    for (uint32_t i = 0; i < outbox_.count(); ++i) {
        Link& link = outbox_.link(i);
        std::string_view answer = outbox_.take(i);
        if (answer.empty()) continue;
        os::IoResult sent = os::send_bytes(link.fd.get(), answer.data(), answer.size());
        if (sent.status == os::IoStatus::kBroken || sent.status == os::IoStatus::kEof) {
            close_link(link);
            continue;
        }
        link.connection.out.append_copy(answer.substr(sent.bytes));
        drive(link, Next::kRead);
    }
    outbox_.clear();
}

// By the time since which they have waited: what comes from a sibling is seldom the youngest.
void Engine::enqueue(session::Exchange* exchange) {
    bool youngest = ready_tail_ != nullptr && ready_tail_->ready_us <= exchange->ready_us;
    session::Exchange** place = youngest ? &ready_tail_->next : &ready_head_;
    while (*place != nullptr && (*place)->ready_us <= exchange->ready_us) place = &(*place)->next;
    exchange->next = *place;
    *place = exchange;
    if (exchange->next == nullptr) ready_tail_ = exchange;
    ++ready_count_;
}

void Engine::unqueue(const session::Exchange* exchange) {
    session::Exchange* previous = nullptr;
    for (session::Exchange* at = ready_head_; at != nullptr; previous = at, at = at->next) {
        if (at != exchange) continue;
        (previous != nullptr ? previous->next : ready_head_) = at->next;
        if (ready_tail_ == at) ready_tail_ = previous;
        --ready_count_;
        return;
    }
}

// The connection goes on without its exchange, or ends: the application keeps the exchange.
void Engine::release_handed_out(Link& link) {
    session::Exchange* exchange = link.connection.exchange();
    if (exchange == nullptr || !exchange->handed_out) return;
    link.connection.detach_exchange();
    exchange->link = nullptr;
    recorder_.lose_client(*exchange);
    bool interrupted =
        exchange->lateness != session::Exchange::Lateness::kNone && options_.overdue_signal != 0;
    note_event(exchange, interrupted ? EventKind::kLate : EventKind::kGone);
    note_body();
}

void Engine::note_event(session::Exchange* exchange, EventKind kind) {
    if (!options_.nested || !exchange->handed_out) return;
    // Between two turns the descriptor has to tell that there is something.
    if (!in_turn_ && events_.empty()) wakeup_.ring();
    events_.push_back({*exchange, kind});
}

void Engine::close_link(Link& link) {
    unhold(link);
    session::Exchange* exchange = link.connection.exchange();
    if (exchange != nullptr && exchange->handed_out) {
        exchange->delivered =
            exchange->response.whole() && link.connection.out.empty() && !link.boxed;
        // The application was not done: without a length, only a reset tells the client so.
        if (exchange->response.close_delimited()) {
            if (exchange->delivered)
                os::reset_on_close(link.fd.get(), false);
            else
                os::reset(link.fd.get());
        }
        release_handed_out(link);
    } else if (exchange != nullptr && (link.connection.phase() == Phase::kReady ||
                                       link.connection.phase() == Phase::kStream)) {
        unqueue(exchange);
        recorder_.end(*exchange, Ending::kAborted);
    } else if (exchange != nullptr && link.connection.phase() == Phase::kFlush) {
        // The end of a close-delimited answer is a FIN: cut short, it must not look whole.
        bool cut = link.connection.broken_reply() || link.boxed || !link.connection.out.empty();
        if (cut && exchange->response.close_delimited()) os::reset(link.fd.get());
        note_finished(link, !cut);
    }
    // The last close() of a connection sends the FIN, and here it may not be the last.
    if (has_children_ && !link.given_away) os::shutdown_both(link.fd.get());
    if (link.boxed) outbox_.drop(link);
    link.connection.out.clear(released_);
    forget_link(link);
    note_room();
    if (resume_at_ms_ != 0) resume_listeners();
}

void Engine::forget_link(Link& link) {
    wheel_.cancel(link);
    if (!link.polled) --unpolled_;
    links_.remove(link);
    --descriptors_.links;
    if (trim_due() && standby_.joinable()) hurry_standby();
}

void Engine::forget_released() {
    if (released_.empty()) return;
    for (const base::Released& done : released_) {
        if (done.fd >= 0) os::Fd closing(done.fd);
        if (done.owner != nullptr) released_owners_.push_back(done.owner);
    }
    released_.clear();
    if (!released_owners_.empty()) attention_.store(true, std::memory_order_relaxed);
}

}  // namespace mono::engine
