// How often it looks depends on what there is to see (docs/adr/0007): an application that answers
// in microseconds is hardly ever interrupted. What write() holds back makes it look within a
// millisecond: that is why holding is not the delay that PEP 3333 forbids.
#include "engine/io_thread.hpp"

#include <algorithm>
#include <array>

#include "base/clock.hpp"
#include "engine/core.hpp"
#include "os/heap.hpp"
#include "os/poller.hpp"
#include "os/signal_mask.hpp"

namespace mono::engine {

namespace {

constexpr int64_t kWatchMs = 100;
constexpr int kFastMs = 1;
constexpr int kSlowMs = 8;
constexpr int kCalmLooks = 16;        // fast looks without an event before it looks slowly
constexpr int64_t kDormantMs = 1000;  // without a request before it sleeps until there is one
constexpr int64_t kLongMs = 1;        // an application that takes longer needs this thread
constexpr int64_t kBoxedMsMax = 5;    // for an answer, should no leader come by
constexpr int64_t kPollAllMs =
    100;  // so soon the poller knows of whose request runs beside a leader
constexpr int kPoliteTries = 3;
constexpr int64_t kTrimMs = 1'000;  // between two times
constexpr int kOfferMs = 2;         // between two tries to hand over what waits here

}  // namespace

// Beside an event loop that an application blocks. It sleeps until the next deadline and does
// nothing else.
void IoThread::run_watch() {
    Lock lock(core_.mutex);
    while (!quit_) {
        int64_t wait = std::min<int64_t>(core_.deadlines.sleep_ms(base::monotonic_ms()), 60'000);
        if (!core_.deadlines.overdue().empty()) wait = kWatchMs;
        lock.unlock();
        os::wait_readable(-1, kick_.reader(), static_cast<int>(wait));
        lock.lock();
        kick_.drain();
        core_.now.look();
        core_.deadlines.expire();
        core_.deadlines.watch(lock);
        core_.outgoing.forget_released();
    }
}

void IoThread::start_watch() {
    os::SignalsBlocked blocked;
    watch_ = std::thread([this] { run_watch(); });
}

void IoThread::start() {
    // Signals are for the thread that runs Python.
    os::SignalsBlocked blocked;
    thread_ = std::thread([this] { run(); });
}

void IoThread::stop() {
    if (!thread_.joinable() && !watch_.joinable()) return;
    {
        Lock lock(core_.mutex);
        quit_ = true;
    }
    kick_.ring();
    (thread_.joinable() ? thread_ : watch_).join();
}

void IoThread::hurry() {
    if (pace_ == Pace::kFast) return;
    pace_ = Pace::kFast;
    kick_.ring();
}

// Sleeps without the lock, and takes it politely: whoever holds it is at work, and blocking on it
// would cost that thread a futex call.
void IoThread::wait(Lock& lock) {
    int wait = pace_ == Pace::kDormant ? -1 : pace_ == Pace::kSlow ? kSlowMs : kFastMs;
    lock.unlock();
    os::wait_readable(-1, kick_.reader(), wait);
    for (int tries = 0; tries < kPoliteTries && !lock.try_lock(); ++tries) os::pause_ms(kFastMs);
    if (!lock.owns_lock()) lock.lock();
    kick_.drain();
    core_.now.look();
}

IoThread::Pace IoThread::next_pace(bool eventful, int64_t active_ms, int& calm_looks) const {
    calm_looks = eventful ? 0 : calm_looks + 1;
    if (calm_looks < kCalmLooks) return Pace::kFast;
    bool asleep =
        !core_.links.trim_due() && core_.slots.busy == 0 && core_.now.ms - active_ms > kDormantMs;
    return asleep ? Pace::kDormant : Pace::kSlow;
}

void IoThread::run() {
    Lock lock(core_.mutex);
    uint64_t seen = core_.slots.epoch;
    int64_t active_ms = core_.now.ms;
    int calm_looks = 0;
    while (!quit_) {
        wait(lock);
        if (core_.slots.epoch != seen) active_ms = core_.now.ms;
        bool eventful = core_.outgoing.pending();
        eventful |= core_.outgoing.store_crowded(lock);
        core_.outgoing.flush_held();
        // As long as requests come and go, the leader sends, at its next look.
        if (core_.now.ms - core_.slots.changed_ms >= kLongMs ||
            core_.now.ms - core_.outgoing.boxed_ms() > kBoxedMsMax)
            core_.outgoing.flush_outbox();
        core_.hand_off.offer(false);
        core_.drainer.notice_stop();
        core_.deadlines.watch(lock);
        if (core_.slots.busy != 0 && core_.now.ms - core_.links.polled_ms() >= kPollAllMs)
            core_.links.poll_all();
        if (core_.slots.busy != 0 && !core_.rounds.led() &&
            core_.now.ms - core_.slots.changed_ms > kLongMs) {
            lead(lock);
            eventful = true;
        }
        trim(lock);
        pace_ = next_pace(eventful, active_ms, calm_looks);
        seen = core_.slots.epoch;
    }
}

void IoThread::trim(Lock& lock) {
    if (!core_.links.trim_due() || core_.now.ms - trimmed_ms_ < kTrimMs) return;
    core_.links.note_trimmed();
    trimmed_ms_ = core_.now.ms;
    lock.unlock();
    os::trim_heap();
    lock.lock();
    core_.now.look();
}

// Until a slot changes hands. The wait is poll(2) on the epoll descriptor, which takes
// no event away: whoever holds the lock next collects them.
void IoThread::lead(Lock& lock) {
    leads_ = true;
    uint64_t epoch = core_.slots.epoch;
    std::array<os::Ready, 64> ready;
    while (!quit_ && core_.slots.epoch == epoch && !core_.rounds.led()) {
        core_.outgoing.flush_held();
        core_.outgoing.flush_outbox();
        core_.acceptor.watch();
        core_.links
            .poll_all();  // what was served without the poller: those clients may leave meanwhile
        core_.access_log.flush(core_.now.ms);
        core_.hand_off.offer(true);
        core_.drainer.notice_stop();
        core_.deadlines.watch(lock);
        if (core_.outgoing.store_crowded(lock)) kick_.drain();
        if (core_.slots.epoch != epoch || core_.rounds.led() || quit_) break;
        int wait =
            !core_.ready.empty() && core_.relay.open() ? kOfferMs : core_.rounds.wait_ms(1'000);
        if (core_.outgoing.crowded()) wait = 0;
        lock.unlock();
        bool readable = os::wait_readable(core_.poller.fd(), kick_.reader(), wait);
        lock.lock();
        if (core_.slots.epoch != epoch || core_.rounds.led() || quit_) break;
        if (!readable) kick_.drain();
        const int count = readable ? core_.poller.wait(ready, 0) : 0;
        core_.rounds.process({ready.data(), static_cast<size_t>(std::max(count, 0))});
        if (!core_.ready.empty() && core_.slots.busy < core_.options.slots)
            core_.waiters.takers().wake_one();
    }
    leads_ = false;
    kick_.drain();
}

void IoThread::detach() {
    if (thread_.joinable()) thread_.detach();
    if (watch_.joinable()) watch_.detach();
}

void IoThread::kick_watch() {
    if (watch_.joinable()) kick_.ring();
}

void IoThread::wake_up() {
    if (pace_ != Pace::kDormant || !thread_.joinable()) return;
    pace_ = Pace::kSlow;
    kick_.ring();
}

}  // namespace mono::engine
