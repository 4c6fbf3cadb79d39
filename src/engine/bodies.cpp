#include "engine/bodies.hpp"

#include "base/clock.hpp"
#include "engine/core.hpp"
#include "os/process.hpp"

namespace mono::engine {

using session::Exchange;

void Bodies::pull(Exchange& exchange) {
    Link* link = exchange.link;
    if (link == nullptr) return;
    core_.now.look();
    if (exchange.incoming.empty()) link->connection.want_body(core_.now.ms);
    core_.outgoing.unhold(*link);
    if (!core_.loop.drive(*link, session::Next::kRead)) return;
    if (!link->readable) link->connection.body_taken(core_.now.ms);
    core_.loop.rearm(*link);
}

void Bodies::beat() {
    if (core_.options.board == nullptr || os::current_thread() != core_.process.thread) return;
    core_.options.board->slot(core_.options.board_slot).beat_ms.store(base::monotonic_ms());
}

}  // namespace mono::engine
