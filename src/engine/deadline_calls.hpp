// DeadlineCalls: what a runner has to do with request_timeout (docs/adr/0013). Each call takes the
// engine's lock. Any thread.
#pragma once

#include <cstdint>
#include <functional>

#include "engine/pools.hpp"

namespace mono::engine {

struct Core;

class DeadlineCalls {
  public:
    // The application gets until `span_ms` from now. False: it is too late, or there is no
    // deadline.
    bool extend(Handle handle, int64_t span_ms);
    // Whether collect_overdue() has something to give out.
    bool has_overdue();
    // Calls visit(exchange, untold) under the lock for each request whose time is newly over; the
    // next one rings again. Not untold: the master has told its story.
    void collect_overdue(const std::function<void(session::Exchange&, bool)>& visit);
    // Calls visit(exchange) under the lock for each collected one whose application still runs and
    // was not interrupted; true: it is now.
    void interrupt_overdue(const std::function<bool(session::Exchange&)>& visit);
    // Those of whom is_it(exchange) is true, under the lock, have not heard of their interruption.
    void interrupt_again(const std::function<bool(const session::Exchange&)>& is_it);
    // Whoever interrupts the application of this one may do it now, and only now.
    bool interrupt(Handle handle);
    // The application begins. False: its time is over already, and it shall not.
    bool enter_application(Handle handle) { return !limited_ || enter_in_time(handle); }
    // The application is done: from now on it is not interrupted any more. True: it was.
    bool leave_application(Handle handle) { return limited_ && leave_in_time(handle); }

  protected:
    DeadlineCalls(Core& core, bool limited) : core_(core), limited_(limited) {}

  private:
    bool enter_in_time(Handle handle);
    bool leave_in_time(Handle handle);

    Core& core_;
    const bool limited_;  // there is a request_timeout
};

}  // namespace mono::engine
