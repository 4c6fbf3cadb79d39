// A streamed body on its way to the application: the rest of it is read as it is taken, and no
// more than kStreamHighBytes of it wait in memory. Whoever waits for it takes the pilot's seat, if
// that is empty, so that a thread that reads costs no switch to another one.
#include <algorithm>
#include <cstring>

#include "base/clock.hpp"
#include "engine/engine.hpp"
#include "os/process.hpp"

namespace mono::engine {

using session::Exchange;

namespace {

constexpr size_t kLineBlock = 8192;

}  // namespace

// What the kernel has, as far as there is room; and the client is asked for it where it wants to
// be. May close the link.
void Engine::pull_body(Exchange& exchange) {
    Link* link = exchange.link;
    if (link == nullptr) return;
    look_at_clock();
    if (exchange.incoming.empty()) link->connection.want_body(now_ms_);
    unhold(*link);
    if (!drive(*link, session::Next::kRead)) return;
    if (!link->readable) link->connection.body_taken(now_ms_);
    rearm(*link);
}

bool Engine::wait_body(Handle handle, int timeout_ms) {
    Lock lock(mutex_);
    const int64_t end_ms = base::monotonic_ms() + timeout_ms;
    const uint64_t wakes = wakes_;
    if (Exchange* exchange = find(handle)) pull_body(*exchange);
    auto awaited = [&] {
        const Exchange* exchange = find(handle);
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

BodyState Engine::take_arrived(Handle handle, base::Buffer& taken, http::Error& fault) {
    Lock lock(mutex_);
    Exchange* found = find(handle);
    if (found == nullptr) return BodyState::kOver;
    Exchange& exchange = *found;
    std::swap(taken, exchange.incoming);
    if (exchange.body_complete) return BodyState::kComplete;
    fault = exchange.body_fault;
    Link* link = exchange.link;
    if (link == nullptr)
        return fault == http::Error::kNone ? BodyState::kGone : BodyState::kRefused;
    look_at_clock();
    // What the kernel still has, the next wait_body() reads: until then the client is not slow.
    if (!link->readable) link->connection.body_taken(now_ms_);
    rearm(*link);
    return BodyState::kMore;
}

BodyState Engine::take_body(Handle handle, base::Buffer& taken) {
    Lock lock(mutex_);
    Exchange* exchange = find(handle);
    if (exchange == nullptr) return BodyState::kOver;
    std::swap(taken, exchange->incoming);
    pull_body(*exchange);
    if (taken.empty()) std::swap(taken, exchange->incoming);
    if (exchange->body_complete && exchange->incoming.empty()) return BodyState::kComplete;
    return exchange->link == nullptr ? BodyState::kGone : BodyState::kMore;
}

// A file is read without the lock, and lives on meanwhile.
int64_t Engine::read_body(Handle handle, uint64_t offset, std::span<char> into) {
    Lock lock(mutex_);
    const Exchange* exchange = find(handle);
    if (exchange == nullptr) return kTooLate;
    const session::Body& body = exchange->body;
    const std::shared_ptr<const session::Spill> spill = body.spill();
    if (!spill) return body.read(exchange->bytes.data(), offset, into);
    if (offset >= body.size()) return 0;
    lock.unlock();
    const int64_t got = spill->read(offset, into);
    lock.lock();  // who drops it last gives its room back
    return got;
}

int64_t Engine::measure_line(Handle handle, uint64_t offset, uint64_t bytes_max) {
    {
        Lock lock(mutex_);
        const Exchange* exchange = find(handle);
        if (exchange == nullptr) return kTooLate;
        if (!exchange->body.spilled()) {
            std::string_view rest = exchange->body_view().substr(offset, bytes_max);
            const size_t at = rest.find('\n');
            return static_cast<int64_t>(at == std::string_view::npos ? rest.size() : at + 1);
        }
    }
    char block[kLineBlock];
    uint64_t length = 0;
    while (length < bytes_max) {
        const size_t wanted = std::min<uint64_t>(bytes_max - length, sizeof block);
        const int64_t got = read_body(handle, offset + length, {block, wanted});
        if (got < 0) return got;
        if (got == 0) return kUnreadable;
        const void* hit = std::memchr(block, '\n', static_cast<size_t>(got));
        if (hit != nullptr)
            return static_cast<int64_t>(length) + (static_cast<const char*>(hit) - block) + 1;
        length += static_cast<uint64_t>(got);
    }
    return static_cast<int64_t>(length);
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
