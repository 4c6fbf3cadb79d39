#include "engine/deadline_calls.hpp"

#include "engine/core.hpp"

namespace mono::engine {

using session::Exchange;

bool DeadlineCalls::has_overdue() {
    Lock lock(core_.mutex);
    return !core_.deadlines.overdue().uncollected().empty();
}

bool DeadlineCalls::interrupt(Handle handle) {
    Lock lock(core_.mutex);
    Exchange* exchange = core_.exchanges.find(handle);
    if (exchange == nullptr || !core_.deadlines.overdue().take_running(*exchange) ||
        exchange->leaving)
        return false;
    core_.deadlines.overdue().note_interrupted(*exchange);
    return true;
}

bool DeadlineCalls::extend(Handle handle, int64_t span_ms) {
    Lock lock(core_.mutex);
    Exchange* exchange = core_.exchanges.find(handle);
    return exchange != nullptr && core_.deadlines.extend(*exchange, span_ms);
}

void DeadlineCalls::collect_overdue(const std::function<void(Exchange&, bool)>& visit) {
    Lock lock(core_.mutex);
    core_.deadlines.note_collected();
    Overdue& overdue = core_.deadlines.overdue();
    for (Exchange* exchange : overdue.collect()) {
        visit(*exchange, core_.recorder.advance_story(*exchange, board::Story::kCollected));
        if (exchange->entered && !exchange->leaving) overdue.await_interruption(*exchange);
    }
}

void DeadlineCalls::interrupt_overdue(const std::function<bool(Exchange&)>& visit) {
    Lock lock(core_.mutex);
    Overdue& overdue = core_.deadlines.overdue();
    overdue.visit_running([&](Exchange& exchange) {
        if (!exchange.leaving && !exchange.interrupted && visit(exchange))
            overdue.note_interrupted(exchange);
        return exchange.leaving || exchange.interrupted;
    });
}

void DeadlineCalls::interrupt_again(const std::function<bool(const Exchange&)>& is_it) {
    Lock lock(core_.mutex);
    core_.deadlines.overdue().take_back(is_it);
    core_.io_thread.kick_watch();
}

bool DeadlineCalls::enter_in_time(Handle handle) {
    Lock lock(core_.mutex);
    Exchange* exchange = core_.exchanges.find(handle);
    if (exchange == nullptr) return false;
    exchange->entered = exchange->lateness == Exchange::Lateness::kNone;
    return exchange->entered;
}

bool DeadlineCalls::leave_in_time(Handle handle) {
    Lock lock(core_.mutex);
    Exchange* exchange = core_.exchanges.find(handle);
    if (exchange == nullptr) return false;
    exchange->leaving = true;
    return exchange->interrupted;
}

}  // namespace mono::engine
