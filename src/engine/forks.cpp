#include "engine/forks.hpp"

#include <mutex>
#include <new>

#include "engine/core.hpp"
#include "os/poller.hpp"

namespace mono::engine {

namespace {

constexpr int kLockTries = 1'000;  // a millisecond each: who forks while it holds the lock is stuck

}  // namespace

void Forks::before_fork() {
    locked_ = core_.mutex.try_lock();
    for (int tries = 0; tries < kLockTries && !locked_; ++tries) {
        os::pause_ms(1);
        locked_ = core_.mutex.try_lock();
    }
}

void Forks::after_fork_in_parent() {
    core_.process.has_children = true;
    if (locked_) core_.mutex.unlock();
}

void Forks::after_fork_in_child() {
    core_.process.foreign = true;
    core_.access_log.forget();
    core_.poller.renew();
    core_.wakeup.renew();
    core_.io_thread.renew();
    if (locked_) {
        forget_everything();
        core_.mutex.unlock();
    } else {
        new (&core_.mutex) std::mutex;  // its holder is not here
    }
}

// Closes our descriptors of the connections, which the parent goes on with.
void Forks::forget_everything() {
    core_.ready.clear();
    core_.outgoing.forget();
    core_.turns.events().clear();
    core_.deadlines.overdue().clear();
    core_.outbox.clear();
    core_.links.for_each([this](Link& link) {
        session::Exchange* exchange = link.connection.exchange();
        if (exchange != nullptr && exchange->handed_out) {
            exchange->link = nullptr;
            link.connection.detach_exchange();
        }
        link.connection.out.clear(core_.released);
        core_.links.forget(link);
    });
    core_.warmup.forget();
    core_.outgoing.forget_released();
}

}  // namespace mono::engine
