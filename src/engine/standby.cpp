// The standby thread: flies the engine while every slot runs the application and nobody is in the
// pilot's seat. Never attached to Python. It ticks about every millisecond while requests run; an
// application that answers within a tick never meets it. What write() held back leaves with the
// next tick: that is why holding is not the delay that PEP 3333 forbids.
#include <array>
#include <ctime>

#include "base/clock.hpp"
#include "engine/engine.hpp"
#include "os/signal_mask.hpp"

namespace mono::engine {
namespace {

constexpr int kTickMs = 1;
constexpr int kPoliteTicks = 3;
constexpr int kIdleTicksMax = 20;  // then it sleeps until a request is handed out

}  // namespace

void Engine::start_standby() {
    // Signals are for the thread that runs Python.
    os::SignalsBlocked blocked;
    standby_ = std::thread([this] { run_standby(); });
}

void Engine::stop_standby() {
    if (!standby_.joinable()) return;
    {
        Lock lock(mutex_);
        standby_quit_ = true;
        work_.notify_all();
    }
    standby_kick_.ring();
    standby_.join();
}

void Engine::run_standby() {
    Lock lock(mutex_);
    uint64_t seen = 0;
    int idle_ticks = 0;
    while (!standby_quit_) {
        if (idle_ticks >= kIdleTicksMax) {
            standby_dormant_ = true;
            work_.wait(lock, [this] { return standby_quit_ || busy_ != 0; });
            standby_dormant_ = false;
            idle_ticks = 0;
        }
        seen = epoch_;
        lock.unlock();
        timespec tick{0, kTickMs * 1'000'000};
        nanosleep(&tick, nullptr);
        // Whoever holds the lock is at work; blocking on it would cost that thread a futex call.
        for (int tries = 0; tries < kPoliteTicks && !lock.try_lock(); ++tries)
            nanosleep(&tick, nullptr);
        if (!lock.owns_lock()) lock.lock();
        idle_ticks = busy_ == 0 ? idle_ticks + 1 : 0;
        now_ms_ = base::monotonic_ms();
        if (!held_.empty()) flush_held();
        if (busy_ != 0 && !has_pilot_ && epoch_ == seen) fly_standby(lock);
    }
}

// In the seat until a slot changes hands. The wait is poll(2) on the epoll descriptor, which takes
// no event away: whoever holds the lock next collects them.
void Engine::fly_standby(Lock& lock) {
    standby_flying_ = true;
    uint64_t epoch = epoch_;
    std::array<epoll_event, 64> events;
    if (busy_ + ready_count_ >= options_.slots) pause_listeners();
    while (!standby_quit_ && epoch_ == epoch && !has_pilot_) {
        if (!held_.empty()) flush_held();
        flush_access_log();
        int wait = wait_ms(1'000);
        lock.unlock();
        bool readable = os::wait_readable(poller_.fd(), standby_kick_.reader(), wait);
        lock.lock();
        if (epoch_ != epoch || has_pilot_ || standby_quit_) break;
        process(events.data(), readable ? poller_.wait(events, 0) : 0);
        if (ready_head_ != nullptr && busy_ < options_.slots) ready_or_seat_.notify_one();
    }
    standby_flying_ = false;
    standby_kick_.drain();
}

}  // namespace mono::engine
