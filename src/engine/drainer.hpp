// Drainer: takes the steps of DrainPlan: the one way in which a worker ends its service
// (docs/adr/0008). Owner: the Core, under its lock.
#pragma once

#include "engine/drain_plan.hpp"
#include "engine/link.hpp"
#include "session/exchange.hpp"

namespace mono::engine {

struct Core;

class Drainer {
  public:
    explicit Drainer(Core& core) : core_(core) {}

    void begin(bool for_good);
    // C code may hold the GIL, so that the worker's Python does not hear of the master's word.
    void notice_stop();
    // A round of a drain.
    void go_on();
    // Nothing is left here.
    bool complete() const;
    // In a stop of the whole server an idle worker stays while others have requests waiting.
    bool siblings_wait() const;
    // And nothing will be served any more. Ask again after each round.
    bool drained();
    // An answer has begun after the farewell.
    void bid_farewell(session::Exchange& exchange);

  private:
    void take_step(DrainStep step);
    void withdraw();
    void half_close(Link& link);
    void refuse_waiting();
    void say_farewell();
    void cut();

    Core& core_;
    bool drained_ = false;  // and somebody has heard so
    bool cut_ = false;      // answers under way have been
};

}  // namespace mono::engine
