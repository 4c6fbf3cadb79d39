// Around a fork(2) of the application (docs/adr/0018). The forking thread holds the engine's lock
// across it: what the child inherits is consistent, and so is its copy of the lock. The child's
// engine then has no connection, no request and a poller of its own: what still calls it there
// hears that the client has gone.
#include <new>

#include "engine/engine.hpp"
#include "os/poller.hpp"

namespace mono::engine {
namespace {

constexpr int kLockTries = 1'000;  // a millisecond each: who forks while it holds the lock is stuck

}  // namespace

void Engine::before_fork() {
    fork_locked_ = mutex_.try_lock();
    for (int tries = 0; tries < kLockTries && !fork_locked_; ++tries) {
        os::pause_ms(1);
        fork_locked_ = mutex_.try_lock();
    }
}

void Engine::after_fork_in_parent() {
    has_children_ = true;
    if (fork_locked_) mutex_.unlock();
}

void Engine::after_fork_in_child() {
    foreign_ = true;
    poller_.renew();
    wakeup_.renew();
    standby_kick_.renew();
    if (fork_locked_) {
        forget_everything();
        mutex_.unlock();
    } else {
        new (&mutex_) std::mutex;  // its holder is not here
    }
}

// Closes our descriptors of the connections, which the parent goes on with.
void Engine::forget_everything() {
    ready_head_ = ready_tail_ = nullptr;
    ready_count_ = 0;
    held_.clear();
    events_.clear();
    overdue_.clear();
    outbox_.clear();
    links_.for_each([this](Link& link) {
        session::Exchange* exchange = link.connection.exchange();
        if (exchange != nullptr && exchange->handed_out) {
            exchange->link = nullptr;
            link.connection.detach_exchange();
        }
        link.connection.out.clear(released_);
        forget_link(link);
    });
    warmup_.reset();
    forget_released();
}

}  // namespace mono::engine
