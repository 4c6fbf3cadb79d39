// Acceptor: when a worker accepts, and how many. It watches its listeners exactly while a slot is
// free. Owner: the Core, under its lock.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/seldom.hpp"

namespace mono::engine {

struct Core;

class Acceptor {
  public:
    explicit Acceptor(Core& core) : core_(core) {}

    // `their_turn`: behind requests that keep coming; nobody waits for ever.
    void accept_from(size_t listener, bool their_turn = false);
    // Before a wait: a worker that cannot serve leaves new connections to its siblings.
    void watch();
    void pause();
    void resume();
    // Requests of siblings count as newcomers.
    void watch_relay();
    // Where all workers are full somebody waits: idle connections make room.
    void look_for_room();
    // The end of a stop for good: whoever stands in the kernel's queues is let in, then they close.
    void close_listeners();

  private:
    uint32_t budget(bool their_turn) const;
    void accept_backlog(size_t listener);
    void out_of_descriptors();
    // Until some may have become free.
    void rest();

    Core& core_;
    int64_t room_at_ms_ = 0;  // when to look who waits for a place here
    Seldom no_descriptors_;
};

}  // namespace mono::engine
