// TurnBell: makes the event loop that drives a nested engine turn it again, by its descriptor.
// While a turn is going on nobody has to. An engine with threads of its own has no use for it.
// Owner: one engine, under its lock.
#pragma once

#include "os/wakeup.hpp"

namespace mono::engine {

class TurnBell {
  public:
    TurnBell(os::Wakeup& wakeup, bool nested) : wakeup_(wakeup), nested_(nested) {}

    void ring() {
        if (nested_ && !in_turn_) wakeup_.ring();
    }
    void begin_turn() { in_turn_ = true; }
    void end_turn() { in_turn_ = false; }

  private:
    os::Wakeup& wakeup_;
    const bool nested_;
    bool in_turn_ = false;
};

}  // namespace mono::engine
