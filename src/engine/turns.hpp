// Turns: what an engine tells the event loop that drives it by Engine::turn(): events of exchanges
// that the application holds, from the time between two turns and in them.
// Owner: the Core, under its lock.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/pools.hpp"

namespace mono::engine {

struct Core;

// What happened to an exchange that a nested runner holds.
enum class EventKind : uint8_t {
    kBody,      // more in incoming, or its end
    kRoom,      // the output is low again (Exchange::wants_room was set)
    kGone,      // the client has left
    kFarewell,  // a drain: a stream without an end should find one
    kLate,  // its time is over: answered; whoever collects the overdue interrupts the application
};
struct Event {
    Handle exchange;
    EventKind kind;
};

class Turns {
  public:
    explicit Turns(Core& core) : core_(core) {}

    // Only a nested runner hears of it, and only of what it holds.
    void note(session::Exchange* exchange, EventKind kind);
    std::vector<Event>& events() { return events_; }

  private:
    Core& core_;
    std::vector<Event> events_;  // for the next turn
};

}  // namespace mono::engine
