// Bodies: a streamed body on its way to the application: the rest of it is read as it is taken, and
// no more than kStreamHighBytes of it wait in memory. Owner: the Core, under its lock.
#pragma once

#include "session/exchange.hpp"

namespace mono::engine {

struct Core;

class Bodies {
  public:
    explicit Bodies(Core& core) : core_(core) {}

    // What the kernel has, as far as there is room; and the client is asked for it where it wants
    // to be. May close the link.
    void pull(session::Exchange& exchange);
    // Who waits for a client is alive; only the thread whose heart it is says so.
    void beat();

  private:
    Core& core_;
};

}  // namespace mono::engine
