// HandOff: work-conserving dispatch (docs/adr/0012): a complete request does not wait here for a
// slot while a sibling has a free one. Owner: the Core, under its lock.
#pragma once

#include "engine/link.hpp"
#include "engine/relay.hpp"

namespace mono::engine {

struct Core;

class HandOff {
  public:
    explicit HandOff(Core& core) : core_(core) {}

    // `long_wait`: what runs here takes long, so all that waits goes to the siblings.
    void offer(bool long_wait);
    // What siblings could not serve. False: there was nothing.
    bool accept();

  private:
    Handover hand_over(Link& link);

    Core& core_;
};

}  // namespace mono::engine
