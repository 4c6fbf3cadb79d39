// Request deadlines (docs/adr/0013). When the application has not begun its answer request_timeout
// after it got the request, the client gets 504 at once, whoever is in the seat; the runner is told
// by one signal for however many there are, collects them and interrupts each application in its
// own way. Where nobody collects, the master tells of them. At request_kill_timeout the master is
// told, who ends the worker. And queue_timeout: what waited too long is not begun at all.
#include <algorithm>

#include "base/clock.hpp"
#include "engine/engine.hpp"
#include "os/process.hpp"
#include "os/process_copy.hpp"
#include "os/signal_mask.hpp"

namespace mono::engine {

using session::Exchange;

namespace {

constexpr int64_t kRingAgainMs = 250;  // twice as long each time
constexpr uint32_t kRingDoublingsMax = 5;
constexpr int64_t kStuckMs = 1'000;  // without anybody who collects
constexpr int64_t kWatchMs = 100;

}  // namespace

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
    if (!overdue_.empty() && rings_ == 0) ring_overdue();
}

// The client is answered here; what the application still writes goes nowhere.
void Engine::make_overdue(Exchange& exchange) {
    recorder_.overdue(exchange, now_ms_ * 1'000, false);
    if (overdue_.empty()) uncollected_ms_ = now_ms_;
    int64_t kill_ms = options_.limits.request_kill_ms_max;
    if (kill_ms != 0)
        requests_.arm(exchange.timer, std::max(now_ms_, exchange.dispatched_us / 1'000 + kill_ms));
    overdue_.push_back(&exchange);
    auto* link = exchange.link;
    if (link != nullptr)
        drive(*link, link->connection.refuse_running(http::Error::kRequestTimeout, now_ms_));
}

// Once until somebody collects them, and again after a while: a signal that comes just before the
// thread goes to sleep in a system call does not wake it.
void Engine::ring_overdue() {
    if (options_.overdue_signal == 0) return;
    ++rings_;
    rung_ms_ = now_ms_;
    os::signal_thread(owner_thread_, options_.overdue_signal);
}

// For the threads that need no GIL, while there is something to watch.
void Engine::watch_overdue(Lock& lock) {
    if (!watches_overdue()) return;
    const uint32_t doublings = std::min(rings_, kRingDoublingsMax);
    if (now_ms_ - rung_ms_ >= kRingAgainMs << doublings) ring_overdue();
    if (!overdue_.empty() && now_ms_ - uncollected_ms_ >= kStuckMs) give_up_on_python(lock);
}

// The worker's main thread runs no Python: it waits in C code, or other C code holds the GIL.
// Where the threads are is read in a copy of the process, which nothing can hurt but itself.
void Engine::give_up_on_python(Lock& lock) {
    if (!stuck_ && options_.stuck_signal != 0) {
        lock.unlock();
        os::handle_in_copy(options_.stuck_signal);
        lock.lock();
        look_at_clock();
    }
    stuck_ = !overdue_.empty();
    bool news = false;
    for (const Exchange* exchange : overdue_)
        news |= recorder_.advance_story(*exchange, board::Story::kStuck);
    if (news) os::ring(options_.master_fd);
}

// It has ended by itself, or did not begin, before anybody collected it.
void Engine::tell_untold(const Exchange& exchange) {
    if (!recorder_.advance_story(exchange, board::Story::kTold)) return;
    const std::string& host = exchange.peer.host;
    say(Severity::kError,
        "Request timed out: " + std::string(exchange.text(exchange.head.method)) + " " +
            std::string(exchange.text(exchange.head.target)) + " (request id " +
            std::string(exchange.request_id()) + ", client " + (host.empty() ? "unix" : host) +
            ") was answered with 504, and " +
            (exchange.entered ? "ended before it could be interrupted" : "had not begun"));
}

bool Engine::has_overdue() {
    Lock lock(mutex_);
    return !overdue_.empty();
}

bool Engine::interrupt(Handle handle) {
    Lock lock(mutex_);
    Exchange* exchange = find(handle);
    if (exchange == nullptr || std::erase(uninterrupted_, exchange) == 0 || exchange->leaving)
        return false;
    exchange->interrupted = true;
    return true;
}

bool Engine::extend(Handle handle, int64_t span_ms) {
    Lock lock(mutex_);
    Exchange* found = find(handle);
    if (found == nullptr) return false;
    Exchange& exchange = *found;
    if (!exchange.timer.queued() || exchange.lateness != Exchange::Lateness::kNone) return false;
    // Sooner is possible too: the wheel only moves deadlines later by itself.
    requests_.cancel(exchange.timer);
    requests_.arm(exchange.timer, base::monotonic_ms() + span_ms);
    if (watch_.joinable()) standby_kick_.ring();
    return true;
}

bool Engine::enter_in_time(Handle handle) {
    Lock lock(mutex_);
    Exchange* exchange = find(handle);
    if (exchange == nullptr) return false;
    exchange->entered = exchange->lateness == Exchange::Lateness::kNone;
    return exchange->entered;
}

bool Engine::leave_in_time(Handle handle) {
    Lock lock(mutex_);
    Exchange* exchange = find(handle);
    if (exchange == nullptr) return false;
    exchange->leaving = true;
    return exchange->interrupted;
}

// True: it was refused, or its client has left.
bool Engine::drop_queued(Exchange& exchange) {
    int64_t queue_ms = options_.limits.queue_ms_max;
    if (queue_ms == 0 || now_ms_ - exchange.ready_us / 1'000 <= queue_ms) return false;
    Link& link = *exchange.link;
    drive(link, link.connection.refuse_waiting(http::Error::kQueueTimeout, now_ms_));
    return true;
}

// A nested engine has no standby: while the loop is blocked by an application, this thread keeps
// the deadlines. It sleeps until the next one and does nothing else.
void Engine::run_watch() {
    Lock lock(mutex_);
    while (!standby_quit_) {
        int64_t wait = std::min<int64_t>(requests_.sleep_ms(base::monotonic_ms()), 60'000);
        if (watches_overdue()) wait = kWatchMs;
        lock.unlock();
        os::wait_readable(-1, standby_kick_.reader(), static_cast<int>(wait));
        lock.lock();
        standby_kick_.drain();
        look_at_clock();
        expire_requests();
        watch_overdue(lock);
        forget_released();
    }
}

void Engine::start_watch() {
    os::SignalsBlocked blocked;
    watch_ = std::thread([this] { run_watch(); });
}

}  // namespace mono::engine
