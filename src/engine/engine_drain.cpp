// The one way in which a worker ends its service (docs/adr/0008): nothing new is admitted, every
// answer closes its connection, what is here is served; what cannot be is refused, never dropped.
//
//   drain ──▶ closing: a stop for good goes on accepting for drain_delay, then empties the kernel's
//     │       queues and closes the listeners. A worker that siblings survive just looks away.
//     ├─▶ idle connections get a moment for the request that crosses our decision, then a FIN
//     ├─▶ hurry: near the end of graceful_timeout what has not reached the application gets 503
//     ├─▶ farewell, after stream_grace: WebSockets (1012) and event streams are told to go
//     └─▶ cut: just before the master kills, answers under way end, so that applications clean up
//          (and, where they are threads, are interrupted)
#include <algorithm>

#include "engine/engine.hpp"
#include "http/names.hpp"
#include "os/files.hpp"
#include "os/process.hpp"

namespace mono::engine {

using session::Phase;

namespace {

constexpr int64_t kDrainIdleMs = 500;    // for requests that cross our decision to stop
constexpr int64_t kDrainLingerMs = 500;  // for those that cross our FIN: no RST for them
constexpr int64_t kBacklogMs = 100;      // for connections that stand and have not spoken yet
constexpr int64_t kRingAgainMs = 250;

constexpr std::string_view kEndless[] = {"text/event-stream", "multipart/x-mixed-replace"};

}  // namespace

bool is_endless(const session::Exchange& exchange) {
    const std::string_view type = exchange.response.head.find("Content-Type").value_or("");
    return std::any_of(std::begin(kEndless), std::end(kEndless), [type](std::string_view endless) {
        return http::equals_ignoring_case(type.substr(0, endless.size()), endless);
    });
}

void Engine::drain(bool for_good, int64_t hold_ms) {
    Lock lock(mutex_);
    begin_drain(for_good);
    if (!told_for_good_) hold_until_ms_ = now_ms_ + hold_ms;
    lock.unlock();
    wake();
}

void Engine::begin_drain(bool for_good) {
    look_at_clock();
    bool first = !draining_;
    draining_ = true;
    bool anew = for_good && !std::exchange(told_for_good_, true);
    if (anew) {
        for_good_ = true;
        hold_until_ms_ = 0;
        for (int fd : listeners_) os::accept_at_once(fd);
        closing_at_ms_ = now_ms_ + std::max(kBacklogMs, options_.limits.drain_delay_ms);
    } else if (!for_good_) {
        pause_listeners();
    }
    if (first || anew) {
        int64_t accepted_until_ms = std::max(now_ms_, closing_at_ms_);
        drain_idle_at_ms_ = accepted_until_ms + kDrainIdleMs;
        hurry_at_ms_ = accepted_until_ms + options_.limits.hurry_ms;
        farewell_at_ms_ = accepted_until_ms + options_.limits.stream_grace_ms;
        cut_at_ms_ = hurry_at_ms_ + options_.limits.stream_grace_ms;
    }
    publish_load();
}

// Whoever stood in the kernel's queue is in: only then is the listener closed, at once. The number
// stays occupied, because its owner will close it too.
void Engine::close_listeners() {
    closing_at_ms_ = 0;
    pause_listeners();
    int error = 0;
    os::Fd nothing = os::open_append("/dev/null", error);
    for (size_t i = 0; i < listeners_.size(); ++i) {
        accept_backlog(i);
        if (!os::replace(listeners_[i], nothing))
            say(Severity::kError, "A listening socket could not be closed");
    }
}

void Engine::accept_backlog(size_t listener) {
    while (descriptors() < options_.connections_max) {
        os::Accepted accepted = os::accept_stream(listeners_[listener]);
        if (accepted.status != os::AcceptStatus::kAccepted) return;
        add_connection(std::move(accepted.fd), accepted.peer, listener);
    }
}

// The master may start who comes after us, unless it has told us to go.
void Engine::withdraw() {
    board::Slot& mine = recorder_.slot();
    if (mine.service.exchange(board::Service::kWithdrawn) != board::Service::kOpen) return;
    if (mine.leaving.load(std::memory_order_relaxed) == 0 && options_.master_fd >= 0)
        os::ring(options_.master_fd);
}

// A round of a drain; under the lock.
void Engine::go_on_draining() {
    if (now_ms_ >= hold_until_ms_) withdraw();
    if (closing_at_ms_ != 0 && now_ms_ >= closing_at_ms_) close_listeners();
    if (drain_idle_at_ms_ != 0 && now_ms_ >= drain_idle_at_ms_) {
        drain_idle_at_ms_ = 0;
        links_.for_each([&](Link& link) { half_close(link); });
    }
    if (hurry_at_ms_ != 0 && now_ms_ >= hurry_at_ms_) hurry();
    if (farewell_at_ms_ != 0 && now_ms_ >= farewell_at_ms_) say_farewell();
    if (cut_at_ms_ != 0 && now_ms_ >= cut_at_ms_) cut();
}

// Its answer promised to keep the connection: it has the time that all idle ones had.
void Engine::begin_idle_drain() { drain_idle_at_ms_ = now_ms_ + kDrainIdleMs; }

void Engine::half_close(Link& link) {
    if (link.connection.phase() != Phase::kIdle) return;
    if (link.eof) return close_link(link);
    if (!poll_link(link)) return;
    link.connection.linger(now_ms_, kDrainLingerMs);
    os::shutdown_write(link.fd.get());
    rearm(link);
}

// Their clients come again, to a worker that stays: both protocols say so.
void Engine::say_farewell() {
    farewell_at_ms_ = 0;
    farewell_said_ = true;
    links_.for_each([&](Link& link) {
        if (link.socket) {
            shut_socket(link, kServiceRestart, "");
        } else if (session::Exchange* exchange = link.connection.exchange()) {
            bid_farewell(*exchange);
        }
    });
}

// A download has an end, and is waited for. An event stream has none; its application may hear.
void Engine::bid_farewell(session::Exchange& exchange) {
    if (!exchange.handed_out || !exchange.response.begun()) return;
    if (is_endless(exchange)) note_event(&exchange, EventKind::kFarewell);
}

// The time is nearly over: what has not reached the application is refused.
void Engine::hurry() {
    hurry_at_ms_ = 0;
    if (insurance_.paid()) return;
    if (closing_at_ms_ != 0) close_listeners();
    while (for_good_ && relay_.open() && accept_relayed()) {
    }
    links_.for_each([&](Link& link) {
        const session::Exchange* exchange = link.connection.exchange();
        bool waits = exchange != nullptr && !exchange->handed_out &&
                     link.connection.phase() != Phase::kFlush;
        if (waits) drive(link, link.connection.refuse_waiting(http::Error::kStopping, now_ms_));
    });
}

// For a WSGI application it is as if these clients had left: close() of its iterables is called. It
// may wait for something else than its client: whoever runs it interrupts it, and is rung for again
// and again, as for overdue requests. What runs in an event loop is ended there.
void Engine::cut() {
    cut_at_ms_ = options_.nested ? 0 : now_ms_ + kRingAgainMs;
    const bool first = !std::exchange(out_of_time_, true);
    if (options_.nested) return;
    if (busy_ != 0 && options_.overdue_signal != 0)
        os::signal_thread(owner_thread_, options_.overdue_signal);
    if (!first) return;
    std::vector<Link*> cut;
    links_.for_each([&](Link& link) {
        const session::Exchange* exchange = link.connection.exchange();
        if (exchange != nullptr && exchange->handed_out && exchange->response.begun())
            cut.push_back(&link);
    });
    if (cut.empty()) return;
    for (Link* link : cut) close_link(*link);
    say(Severity::kWarning,
        std::to_string(cut.size()) + " answers under way were cut: graceful_timeout is over.");
}

DrainStage Engine::drain_stage() {
    Lock lock(mutex_);
    if (out_of_time_) return DrainStage::kOutOfTime;
    return farewell_said_ ? DrainStage::kFarewell : DrainStage::kEarly;
}

bool Engine::drain_complete() const {
    return draining_ && now_ms_ >= hold_until_ms_ && closing_at_ms_ == 0 && links_.size() == 0 &&
           busy_ == 0 && ready_head_ == nullptr;
}

// In a stop of the whole server an idle worker stays while others have requests waiting.
bool Engine::siblings_wait() const {
    return for_good_ && relay_.open() && options_.board->waiting(options_.board_slot);
}

bool Engine::drained() {
    Lock lock(mutex_);
    if (drained_) return true;
    look_at_clock();
    if (!drain_complete()) return false;
    if (siblings_wait()) return false;
    for_good_ = false;
    publish_load();
    // In sequence with the look at the others below: of two that leave at once, one sees both.
    if (relay_.open()) options_.board->slot(options_.board_slot).open.store(0);
    // What was sent before is ours, if nobody else's: the last to close sees all others closed.
    // Once: whoever hears that nothing is left may be gone already.
    drained_ = !relay_.open() || options_.board->has_open_sibling(options_.board_slot) ||
               !accept_relayed();
    return drained_;
}

}  // namespace mono::engine
