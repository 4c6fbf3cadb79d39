// Deadlines: request_timeout, request_kill_timeout and queue_timeout (docs/adr/0013). When the
// application has not begun its answer in time, the client gets 504 at once, whoever leads; the
// runner is told by one signal for however many there are, collects them and interrupts each
// application in its own way. Where nobody collects, the master tells of them.
// Owner: the Core, under its lock.
#pragma once

#include <cstdint>

#include "base/timer_wheel.hpp"
#include "engine/overdue.hpp"
#include "engine/waiters.hpp"
#include "session/exchange.hpp"

namespace mono::engine {

struct Core;

class Deadlines {
  public:
    explicit Deadlines(Core& core);

    // The request is handed out.
    void arm(session::Exchange& exchange);
    // It is answered, or over.
    void cancel(session::Exchange& exchange) { wheel_.cancel(exchange.timer); }
    // False: it is too late, or there is no deadline.
    bool extend(session::Exchange& exchange, int64_t span_ms);
    void expire();
    int64_t sleep_ms(int64_t now_ms) const { return wheel_.sleep_ms(now_ms); }
    // True: it has waited too long and was refused, or its client has left.
    bool drop_queued(session::Exchange& exchange);

    Overdue& overdue() { return overdue_; }
    // For the threads that need no GIL: rings again, and gives up on Python that does not run.
    void watch(Lock& lock);
    // The runner has come for them.
    void note_collected() { stuck_ = false; }
    // It has ended by itself, or did not begin, before anybody collected it.
    void tell_untold(const session::Exchange& exchange);

  private:
    void make_overdue(session::Exchange& exchange);
    void ring_overdue();
    void give_up_on_python(Lock& lock);

    Core& core_;
    base::TimerWheel wheel_;  // of running requests
    Overdue overdue_;
    bool stuck_ = false;  // nobody collects: Python does not run
};

}  // namespace mono::engine
