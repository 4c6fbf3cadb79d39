#include "engine/deadlines.hpp"

#include <algorithm>
#include <string>

#include "base/clock.hpp"
#include "engine/core.hpp"
#include "os/process.hpp"
#include "os/process_copy.hpp"

namespace mono::engine {

using session::Exchange;

Deadlines::Deadlines(Core& core) : core_(core), wheel_(base::monotonic_ms()) {}

// Runs when the exchange is handed out.
void Deadlines::arm(Exchange& exchange) {
    const session::Limits& limits = core_.options.limits;
    if (limits.request_ms_max == 0) return;
    wheel_.arm(exchange.timer, core_.now.ms + limits.request_ms_max);
    core_.io_thread.kick_watch();
}

void Deadlines::expire() {
    while (base::TimerNode* node = wheel_.expire(core_.now.ms)) {
        Exchange& exchange = *static_cast<session::RequestTimer*>(node)->exchange;
        if (exchange.timer.deadline_ms > core_.now.ms) {
            wheel_.arm(exchange.timer, exchange.timer.deadline_ms);
        } else if (exchange.lateness == Exchange::Lateness::kNone) {
            make_overdue(exchange);
        } else {
            core_.recorder.overdue(exchange, core_.now.ms * 1'000, true);
            os::ring(core_.options.master_fd);
        }
    }
    if (overdue_.unrung()) ring_overdue();
}

// The client is answered here; what the application still writes goes nowhere.
void Deadlines::make_overdue(Exchange& exchange) {
    core_.recorder.overdue(exchange, core_.now.ms * 1'000, false);
    int64_t kill_ms = core_.options.limits.request_kill_ms_max;
    if (kill_ms != 0)
        wheel_.arm(exchange.timer,
                   std::max(core_.now.ms, exchange.dispatched_us / 1'000 + kill_ms));
    overdue_.add(exchange, core_.now.ms);
    auto* link = exchange.link;
    if (link != nullptr)
        core_.loop.drive(
            *link, link->connection.refuse_running(http::Error::kRequestTimeout, core_.now.ms));
}

// Once until somebody collects them, and again after a while: a signal that comes just before the
// thread goes to sleep in a system call does not wake it.
void Deadlines::ring_overdue() {
    if (core_.options.overdue_signal == 0) return;
    overdue_.note_ring(core_.now.ms);
    os::signal_thread(core_.process.thread, core_.options.overdue_signal);
}

// For the threads that need no GIL.
void Deadlines::watch(Lock& lock) {
    if (overdue_.ring_again(core_.now.ms)) ring_overdue();
    if (overdue_.unheard(core_.now.ms)) give_up_on_python(lock);
}

// The worker's main thread runs no Python: it waits in C code, or other C code holds the GIL.
// Where the threads are is read in a copy of the process, which nothing can hurt but itself.
void Deadlines::give_up_on_python(Lock& lock) {
    if (!stuck_ && core_.options.stuck_signal != 0) {
        lock.unlock();
        os::handle_in_copy(core_.options.stuck_signal);
        lock.lock();
        core_.now.look();
    }
    stuck_ = !overdue_.uncollected().empty();
    bool news = false;
    for (const Exchange* exchange : overdue_.uncollected())
        news |= core_.recorder.advance_story(*exchange, board::Story::kStuck);
    if (news) os::ring(core_.options.master_fd);
}

void Deadlines::tell_untold(const Exchange& exchange) {
    if (!core_.recorder.advance_story(exchange, board::Story::kTold)) return;
    core_.notices.say(
        Severity::kError,
        "Request timed out: " + std::string(exchange.text(exchange.head.method)) + " " +
            std::string(exchange.text(exchange.head.target)) + " (request id " +
            std::string(exchange.request_id()) + ", client " + std::string(exchange.peer.shown()) +
            ") was answered with 504, and " +
            (exchange.entered ? "ended before it could be interrupted" : "had not begun"));
}

// True: it was refused, or its client has left.
bool Deadlines::drop_queued(Exchange& exchange) {
    int64_t queue_ms = core_.options.limits.queue_ms_max;
    if (queue_ms == 0 || core_.now.ms - exchange.ready_us / 1'000 <= queue_ms) return false;
    Link& link = *exchange.link;
    core_.loop.drive(link,
                     link.connection.refuse_waiting(http::Error::kQueueTimeout, core_.now.ms));
    return true;
}

bool Deadlines::extend(Exchange& exchange, int64_t span_ms) {
    if (!exchange.timer.queued() || exchange.lateness != Exchange::Lateness::kNone) return false;
    // Sooner is possible too: the wheel only moves deadlines later by itself.
    wheel_.cancel(exchange.timer);
    wheel_.arm(exchange.timer, base::monotonic_ms() + span_ms);
    core_.io_thread.kick_watch();
    return true;
}

}  // namespace mono::engine
