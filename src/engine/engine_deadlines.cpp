// Request deadlines (docs/adr/0013). When the application has not begun its answer request_timeout
// after it got the request, the client gets 504 at once, whoever is in the seat; the runner is told
// by a signal, and interrupts the application in its own way. At request_kill_timeout the master
// is told, who ends the worker. And queue_timeout: what waited too long is not begun at all.
#include <algorithm>

#include "base/clock.hpp"
#include "engine/engine.hpp"
#include "os/process.hpp"
#include "os/signal_mask.hpp"

namespace mono::engine {

using session::Exchange;

// Runs when the exchange is handed out.
void Engine::arm_request(Exchange& exchange) {
    const session::Limits& limits = options_.limits;
    if (limits.request_ms_max == 0) return;
    requests_.arm(exchange.timer, now_ms_ + limits.request_ms_max);
    if (watch_.joinable()) standby_kick_.ring();
}

void Engine::expire_requests() {
    while (base::TimerNode* node = requests_.expire(now_ms_)) {
        Exchange& exchange = *static_cast<session::RequestTimer*>(node)->exchange;
        if (exchange.timer.deadline_ms > now_ms_) {
            requests_.arm(exchange.timer, exchange.timer.deadline_ms);
        } else if (exchange.lateness == Exchange::Lateness::kNone) {
            make_overdue(exchange);
        } else {
            recorder_.overdue(exchange, now_ms_ * 1'000, true);
            os::ring(options_.master_fd);
        }
    }
}

// The client is answered here; what the application still writes goes nowhere.
void Engine::make_overdue(Exchange& exchange) {
    recorder_.overdue(exchange, now_ms_ * 1'000, false);
    int64_t kill_ms = options_.limits.request_kill_ms_max;
    if (kill_ms != 0)
        requests_.arm(exchange.timer, std::max(now_ms_, exchange.dispatched_us / 1'000 + kill_ms));
    overdue_.push_back(&exchange);
    auto* link = static_cast<Link*>(exchange.link);
    if (link != nullptr)
        act(*link, link->connection.refuse_running(http::Error::kRequestTimeout, now_ms_));
    if (options_.overdue_signal != 0) os::signal_thread(owner_thread_, options_.overdue_signal);
    os::ring(options_.master_fd);
}

bool Engine::extend(Exchange& exchange, int64_t span_ms) {
    Lock lock(mutex_);
    if (!exchange.timer.queued() || exchange.lateness != Exchange::Lateness::kNone) return false;
    // Sooner is possible too: the wheel only moves deadlines later by itself.
    requests_.cancel(exchange.timer);
    requests_.arm(exchange.timer, base::monotonic_ms() + span_ms);
    if (watch_.joinable()) standby_kick_.ring();
    return true;
}

bool Engine::leave_application(Exchange& exchange) {
    if (options_.limits.request_ms_max == 0) return false;
    Lock lock(mutex_);
    exchange.leaving = true;
    return exchange.interrupted;
}

// True: it was refused, or its client has left.
bool Engine::drop_queued(Exchange& exchange) {
    int64_t queue_ms = options_.limits.queue_ms_max;
    if (queue_ms == 0 || now_ms_ - exchange.ready_us / 1'000 <= queue_ms) return false;
    Link& link = *static_cast<Link*>(exchange.link);
    act(link, link.connection.refuse_waiting(http::Error::kQueueTimeout, now_ms_));
    return true;
}

// A nested engine has no standby: while the loop is blocked by an application, this thread keeps
// the deadlines. It sleeps until the next one and does nothing else.
void Engine::run_watch() {
    Lock lock(mutex_);
    while (!standby_quit_) {
        int64_t wait = requests_.sleep_ms(base::monotonic_ms());
        lock.unlock();
        os::wait_readable(-1, standby_kick_.reader(),
                          static_cast<int>(std::min<int64_t>(wait, 60'000)));
        lock.lock();
        standby_kick_.drain();
        look_at_clock();
        expire_requests();
        forget_released();
    }
}

void Engine::start_watch() {
    os::SignalsBlocked blocked;
    watch_ = std::thread([this] { run_watch(); });
}

}  // namespace mono::engine
