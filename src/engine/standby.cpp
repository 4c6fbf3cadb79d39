// The standby thread: flies the engine while every slot runs the application and nobody is in the
// pilot's seat. Never attached to Python. How often it looks depends on what there is to see
// (docs/adr/0007): an application that answers in microseconds is hardly ever interrupted. What
// write() holds back makes it look within a millisecond: that is why holding is not the delay that
// PEP 3333 forbids.
#include <array>

#include "base/clock.hpp"
#include "engine/engine.hpp"
#include "os/heap.hpp"
#include "os/poller.hpp"
#include "os/signal_mask.hpp"

namespace mono::engine {
namespace {

constexpr int kFastMs = 1;
constexpr int kSlowMs = 8;
constexpr int kCalmLooks = 16;        // fast looks without an event before it looks slowly
constexpr int64_t kDormantMs = 1000;  // without a request before it sleeps until there is one
constexpr int64_t kLongMs = 1;        // an application that takes longer needs a standby
constexpr int64_t kBoxedMsMax = 5;    // for an answer, should no pilot come by
constexpr int64_t kPollAllMs =
    100;  // so soon the poller knows of whose request runs beside a pilot
constexpr int kPoliteTries = 3;
constexpr int64_t kTrimMs = 1'000;  // between two times
constexpr int kOfferMs = 2;         // between two tries to hand over what waits here

}  // namespace

void Engine::start_standby() {
    // Signals are for the thread that runs Python.
    os::SignalsBlocked blocked;
    standby_ = std::thread([this] { run_standby(); });
}

void Engine::stop_standby() {
    if (!standby_.joinable() && !watch_.joinable()) return;
    {
        Lock lock(mutex_);
        standby_quit_ = true;
    }
    standby_kick_.ring();
    (standby_.joinable() ? standby_ : watch_).join();
}

// Something waits that must not wait for long.
void Engine::hurry_standby() {
    if (standby_pace_ == StandbyPace::kFast) return;
    standby_pace_ = StandbyPace::kFast;
    standby_kick_.ring();
}

// Sleeps without the lock, and takes it politely: whoever holds it is at work, and blocking on it
// would cost that thread a futex call.
void Engine::wait_standby(Lock& lock) {
    int wait = standby_pace_ == StandbyPace::kDormant ? -1
               : standby_pace_ == StandbyPace::kSlow  ? kSlowMs
                                                      : kFastMs;
    lock.unlock();
    os::wait_readable(-1, standby_kick_.reader(), wait);
    for (int tries = 0; tries < kPoliteTries && !lock.try_lock(); ++tries) os::pause_ms(kFastMs);
    if (!lock.owns_lock()) lock.lock();
    standby_kick_.drain();
    look_at_clock();
}

Engine::StandbyPace Engine::next_pace(bool eventful, int64_t active_ms, int& calm_looks) const {
    calm_looks = eventful ? 0 : calm_looks + 1;
    if (calm_looks < kCalmLooks) return StandbyPace::kFast;
    bool asleep = !trim_due() && busy_ == 0 && now_ms_ - active_ms > kDormantMs;
    return asleep ? StandbyPace::kDormant : StandbyPace::kSlow;
}

void Engine::run_standby() {
    Lock lock(mutex_);
    uint64_t seen = epoch_;
    int64_t active_ms = now_ms_;
    int calm_looks = 0;
    while (!standby_quit_) {
        wait_standby(lock);
        if (epoch_ != seen) active_ms = now_ms_;
        bool eventful = !held_.empty() || !outbox_.empty();
        eventful |= store_crowded(lock);
        flush_held();
        // As long as requests come and go, the pilot sends, at its next look.
        if (now_ms_ - changed_ms_ >= kLongMs || now_ms_ - boxed_ms_ > kBoxedMsMax) flush_outbox();
        offer_ready(false);
        notice_stop();
        watch_overdue(lock);
        if (busy_ != 0 && now_ms_ - polled_ms_ >= kPollAllMs) poll_all();
        if (busy_ != 0 && !has_pilot_ && now_ms_ - changed_ms_ > kLongMs) {
            fly_standby(lock);
            eventful = true;
        }
        trim(lock);
        standby_pace_ = next_pace(eventful, active_ms, calm_looks);
        seen = epoch_;
    }
}

// C code may hold the GIL, so that the worker's Python does not hear of it.
void Engine::notice_stop() {
    if (told_for_good_ || options_.board == nullptr) return;
    const board::Slot& mine = options_.board->slot(options_.board_slot);
    const bool for_good = options_.board->header().stopping.load(std::memory_order_relaxed) != 0;
    const bool leaving = mine.leaving.load(std::memory_order_relaxed) != 0;
    if (for_good || (leaving && !draining_)) begin_drain(for_good);
}

// When half of a crowd has left, what it took goes back to the system. Not while connections merely
// come and go.
void Engine::trim(Lock& lock) {
    if (!trim_due() || now_ms_ - trimmed_ms_ < kTrimMs) return;
    links_peak_ = links_.size();
    trimmed_ms_ = now_ms_;
    lock.unlock();
    os::trim_heap();
    lock.lock();
    look_at_clock();
}

// In the seat until a slot changes hands. The wait is poll(2) on the epoll descriptor, which takes
// no event away: whoever holds the lock next collects them.
void Engine::fly_standby(Lock& lock) {
    standby_flying_ = true;
    uint64_t epoch = epoch_;
    std::array<epoll_event, 64> events;
    while (!standby_quit_ && epoch_ == epoch && !has_pilot_) {
        flush_held();
        flush_outbox();
        watch_listeners();
        poll_all();  // what was served without the poller: those clients may leave meanwhile
        flush_access_log();
        offer_ready(true);
        notice_stop();
        watch_overdue(lock);
        if (store_crowded(lock)) standby_kick_.drain();
        if (epoch_ != epoch || has_pilot_ || standby_quit_) break;
        int wait = ready_head_ != nullptr && relay_.open() ? kOfferMs : wait_ms(1'000);
        if (!crowded_.empty()) wait = 0;
        lock.unlock();
        bool readable = os::wait_readable(poller_.fd(), standby_kick_.reader(), wait);
        lock.lock();
        if (epoch_ != epoch || has_pilot_ || standby_quit_) break;
        if (!readable) standby_kick_.drain();
        process(events.data(), readable ? poller_.wait(events, 0) : 0);
        if (ready_head_ != nullptr && busy_ < options_.slots) waits_->ready_or_seat.notify_one();
    }
    standby_flying_ = false;
    standby_kick_.drain();
}

}  // namespace mono::engine
