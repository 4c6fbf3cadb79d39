// Outgoing: output that waits. Pieces are held for the next one to leave with, small whole answers
// wait for each other in the outbox (docs/adr/0017), and what slow readers leave moves from memory
// into files, a slice at a time. Owner: the Core, under its lock.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "engine/link.hpp"
#include "engine/pools.hpp"
#include "engine/seldom.hpp"
#include "engine/waiters.hpp"
#include "engine/wire.hpp"

namespace mono::engine {

struct Core;

class Outgoing {
  public:
    explicit Outgoing(Core& core) : core_(core) {}

    // The application makes the next piece: until the I/O thread's look both may leave together.
    void hold(Link& link);
    void unhold(Link& link);
    void flush_held();

    // Whether a whole answer may wait for others now.
    bool may_box(const session::Exchange& exchange) const;
    WriteStatus box(Link& link, const Wire& wire);
    void flush_outbox();
    int64_t boxed_ms() const { return boxed_ms_; }  // when the oldest answer was put there

    // Output was kept: if it is too much in memory, it is stored soon.
    void crowd(Link& link);
    bool crowded() const { return !crowded_.empty(); }
    // One thread at a time, which gives up the lock while the disk writes. True: there was
    // something to store.
    bool store_crowded(Lock& lock);
    // For who writes: the reader, and the disk, are slower than any bound allows. nullptr: the
    // request was ended by another thread meanwhile.
    session::Exchange* wait_for_room(Lock& lock, Handle handle);

    // Something waits for the I/O thread.
    bool pending() const;
    // Closes files that were sent, and gives owners back to the runner.
    void forget_released();
    // In a process that the application forked.
    void forget() { held_.clear(); }

  private:
    void store_slice(Lock& lock);
    void say_unstored();

    Core& core_;
    std::vector<Link*> held_;
    std::deque<uint64_t> crowded_;   // keys of links with too much output in memory, in turn
    std::unique_ptr<char[]> slice_;  // of output on its way to a file; whoever stores
    int64_t boxed_ms_ = 0;
    Seldom unstored_;
};

}  // namespace mono::engine
