// Rounds: who leads the engine, and what a round of it is. Threads in take() are Leader/Followers:
// the leader waits in epoll, deals with what it reports and takes a request out; the next follower
// then leads. Owner: the Core, under its lock, which the leader gives up while it waits.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>

#include "engine/waiters.hpp"
#include "os/poller.hpp"
#include "session/exchange.hpp"

namespace mono::engine {

struct Core;

class Rounds {
  public:
    explicit Rounds(Core& core) : core_(core) {}

    // A request that may run now; nullptr: there is none, or no slot is free.
    session::Exchange* pop_ready();
    // Waits for one, as leader or follower. nullptr: as Engine::take() says.
    session::Exchange* wait_for_request(Lock& lock, int timeout_ms, uint64_t wakes);
    // It is time to look at the kernel, beside a queue that is never empty.
    bool look_due() const;
    // One round as leader. False: a signal interrupted the wait.
    bool lead(Lock& lock, int timeout_ms);
    // Somebody leads.
    bool led() const { return led_; }
    // Nobody does any more: whoever waits for that is woken.
    void pass_lead();

    // What the poller reported, what has expired, and what else is due.
    void process(std::span<const os::Ready> ready);
    // How long the poller may sleep, at most timeout_ms where that is not negative.
    int wait_ms(int timeout_ms) const;
    // What siblings go by when they have requests to spare.
    void publish_load();

    // How often Engine::wake() was heard. Needs no lock.
    uint64_t wakes() const { return wakes_.load(std::memory_order_acquire); }
    void note_wake() { wakes_.fetch_add(1, std::memory_order_release); }

  private:
    void hand_out(session::Exchange& exchange);
    void look(Lock& lock);
    void expire_links();

    Core& core_;
    std::atomic<uint64_t> wakes_{0};
    int64_t looked_ms_ = 0;  // into the poller
    bool led_ = false;
};

}  // namespace mono::engine
