// What happens in a drain, and when (drain_plan.hpp): nothing new is admitted, every answer closes
// its connection, what is here is served; what cannot be is refused, never dropped.
//
//   drain ──▶ closing: a stop for good goes on accepting for drain_delay, then empties the kernel's
//     │       queues and closes the listeners. A worker that siblings survive just looks away.
//     ├─▶ idle connections get a moment for the request that crosses our decision, then a FIN
//     ├─▶ near the end of graceful_timeout what has not reached the application gets 503
//     ├─▶ farewell, after stream_grace: WebSockets (1012) and event streams are told to go
//     └─▶ cut: just before the master kills, answers under way end, so that applications clean up
//          (and, where they are threads, are interrupted)
#include "engine/drainer.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core.hpp"
#include "engine/drain.hpp"
#include "http/names.hpp"
#include "os/process.hpp"
#include "os/socket.hpp"

namespace mono::engine {

using session::Phase;

namespace {

constexpr int64_t kLingerMs = 500;  // for requests that cross our FIN: no RST for them

constexpr std::string_view kEndless[] = {"text/event-stream", "multipart/x-mixed-replace"};

}  // namespace

bool is_endless(const session::Exchange& exchange) {
    const std::string_view type = exchange.response.head.find("Content-Type").value_or("");
    return std::any_of(std::begin(kEndless), std::end(kEndless), [type](std::string_view endless) {
        return http::equals_ignoring_case(type.substr(0, endless.size()), endless);
    });
}

void Drainer::begin(bool for_good) {
    core_.now.look();
    if (core_.drain.begin(for_good, core_.now.ms)) {
        if (for_good)
            for (size_t i = 0; i < core_.listeners.size(); ++i)
                os::accept_at_once(core_.listeners.fd(i));
        else
            core_.acceptor.pause();
    }
    core_.rounds.publish_load();
}

// The master may start who comes after us, unless it has told us to go.
void Drainer::withdraw() {
    board::Slot& mine = core_.recorder.slot();
    if (mine.service.exchange(board::Service::kWithdrawn) != board::Service::kOpen) return;
    if (mine.leaving.load(std::memory_order_relaxed) == 0 && core_.options.master_fd >= 0)
        os::ring(core_.options.master_fd);
}

void Drainer::go_on() {
    if (!core_.drain.held(core_.now.ms)) withdraw();
    while (std::optional<DrainStep> step = core_.drain.next(core_.now.ms)) take_step(*step);
}

void Drainer::take_step(DrainStep step) {
    switch (step) {
        case DrainStep::kCloseListeners:
            return core_.acceptor.close_listeners();
        case DrainStep::kHalfCloseIdle:
            return core_.links.for_each([&](Link& link) { half_close(link); });
        case DrainStep::kRefuseWaiting:
            return refuse_waiting();
        case DrainStep::kFarewell:
            return say_farewell();
        case DrainStep::kCut:
            return cut();
    }
}

void Drainer::half_close(Link& link) {
    if (link.multiplexer) return link.multiplexer->drain();
    if (!link.idle() || link.opening || link.stream != nullptr) return;
    if (link.eof) return core_.links.close(link);
    if (!core_.links.poll(link)) return;
    link.connection.linger(core_.now.ms, kLingerMs);
    link.transport.end_output();
    core_.loop.rearm(link);
}

// Their clients come again, to a worker that stays: both protocols say so.
void Drainer::say_farewell() {
    core_.links.for_each([&](Link& link) {
        if (link.socket) {
            core_.sockets.shut(link, kServiceRestart, "");
        } else if (session::Exchange* exchange = link.connection.exchange()) {
            bid_farewell(*exchange);
        }
    });
}

// A download has an end, and is waited for. An event stream has none; its application may hear.
void Drainer::bid_farewell(session::Exchange& exchange) {
    if (!exchange.handed_out || !exchange.response.begun()) return;
    if (is_endless(exchange)) core_.turns.note(&exchange, EventKind::kFarewell);
}

// The time is nearly over: what has not reached the application is refused.
void Drainer::refuse_waiting() {
    if (core_.insurance.paid()) return;
    while (core_.drain.stopping() && core_.relay.open() && core_.hand_off.accept()) {
    }
    core_.links.for_each([&](Link& link) {
        if (link.multiplexer) link.multiplexer->drain();
        if (link.opening) return core_.links.close(link);
        const session::Exchange* exchange = link.connection.exchange();
        bool waits = exchange != nullptr && !exchange->handed_out &&
                     link.connection.phase() != Phase::kFlush;
        if (waits)
            core_.loop.drive(link,
                             link.connection.refuse_waiting(http::Error::kStopping, core_.now.ms));
    });
}

// For a WSGI application it is as if these clients had left: close() of its iterables is called. It
// may wait for something else than its client: whoever runs it interrupts it, and is rung for again
// and again, as for overdue requests. What runs in an event loop is ended there.
void Drainer::cut() {
    if (core_.options.nested) return;
    if (core_.slots.busy != 0 && core_.options.overdue_signal != 0)
        os::signal_thread(core_.process.thread, core_.options.overdue_signal);
    if (std::exchange(cut_, true)) return;
    std::vector<Link*> cut;
    core_.links.for_each([&](Link& link) {
        const session::Exchange* exchange = link.connection.exchange();
        if (exchange != nullptr && exchange->handed_out && exchange->response.begun())
            cut.push_back(&link);
    });
    if (cut.empty()) return;
    for (Link* link : cut) core_.links.close(*link);
    core_.notices.say(
        Severity::kWarning,
        std::to_string(cut.size()) + " answers under way were cut: graceful_timeout is over.");
}

bool Drainer::complete() const {
    return core_.drain.begun() && !core_.drain.held(core_.now.ms) && !core_.drain.accepts() &&
           core_.links.size() == 0 && core_.slots.busy == 0 && core_.ready.empty();
}

bool Drainer::siblings_wait() const {
    return core_.drain.stopping() && core_.relay.open() &&
           core_.options.board->waiting(core_.options.board_slot);
}

void Drainer::notice_stop() {
    if (core_.drain.told_for_good() || core_.options.board == nullptr) return;
    const board::Slot& mine = core_.options.board->slot(core_.options.board_slot);
    const bool for_good =
        core_.options.board->header().stopping.load(std::memory_order_relaxed) != 0;
    const bool leaving = mine.leaving.load(std::memory_order_relaxed) != 0;
    if (for_good || (leaving && !core_.drain.begun())) begin(for_good);
}

bool Drainer::drained() {
    if (drained_) return true;
    core_.now.look();
    if (!complete()) return false;
    if (siblings_wait()) return false;
    core_.drain.done();
    core_.rounds.publish_load();
    const uint32_t slot = core_.options.board_slot;
    // In sequence with the look at the others below: of two that leave at once, one sees both.
    if (core_.relay.open()) core_.options.board->slot(slot).open.store(0);
    // What was sent before is ours, if nobody else's: the last to close sees all others closed.
    // Once: whoever hears that nothing is left may be gone already.
    drained_ = !core_.relay.open() || core_.options.board->has_open_sibling(slot) ||
               !core_.hand_off.accept();
    return drained_;
}

}  // namespace mono::engine
