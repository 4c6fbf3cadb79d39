#include "engine/hand_off.hpp"

#include <optional>
#include <utility>

#include "engine/core.hpp"
#include "os/socket.hpp"

namespace mono::engine {

using session::Exchange;
using session::Next;

// The pair is the one queue of all workers: whoever has a free slot first takes what has waited
// longest. `long_wait`: what runs here takes long, so all that waits goes there; else only as much
// as siblings have slots now, for this worker's next slot is as near as the pair.
void HandOff::offer(bool long_wait) {
    if (!core_.relay.open() || core_.insurance.paid() || core_.slots.busy < core_.options.slots ||
        core_.ready.empty())
        return;
    bool all = long_wait && core_.options.board->has_open_sibling(core_.options.board_slot);
    uint32_t room = all ? UINT32_MAX : core_.options.board->free_slots(core_.options.board_slot);
    Exchange* exchange = core_.ready.front();
    while (room != 0 && exchange != nullptr) {
        Exchange* next = exchange->next;
        Handover handover = hand_over(*exchange->link);
        if (handover == Handover::kFull) return;
        if (handover == Handover::kDone) --room;
        exchange = next;
    }
}

Handover HandOff::hand_over(Link& link) {
    Exchange& exchange = *link.connection.exchange();
    if (!may_move(link, core_.options.limits) || link.eof) return Handover::kUnfit;
    Handover handover = core_.relay.send(exchange, link);
    if (handover != Handover::kDone) return handover;
    core_.ready.remove(exchange);
    core_.recorder.hand_over(exchange);
    // The description lives on in the packet, and would go on being reported here.
    if (link.polled) core_.poller.remove(link.transport.fd());
    core_.links.forget(link);
    return Handover::kDone;
}

bool HandOff::accept() {
    std::optional<Parcel> parcel = core_.relay.receive();
    if (!parcel) return false;
    Link& link = core_.links.admit(std::move(parcel->client), std::move(parcel->peer));
    session::Body body;
    if (parcel->body_file)
        body.adopt_spill(
            core_.links.body_spills().adopt(std::move(parcel->body_file), parcel->body_file_bytes));
    Next next =
        link.connection.resume(parcel->head, std::move(body), parcel->body, parcel->pipelined);
    if (next == Next::kDispatch) {
        Exchange& exchange = *link.connection.exchange();
        exchange.id.assign(parcel->id);
        exchange.balancer_us = parcel->balancer_us;
        exchange.accepted_us = parcel->accepted_us;
        exchange.started_us = parcel->started_us;
        exchange.ready_us = parcel->ready_us;
    }
    link.readable = true;
    // Whose client has left meanwhile does not reach the application.
    if (core_.loop.drive(link, next) && os::has_hung_up(link.transport.fd()))
        core_.links.close(link);
    return true;
}

}  // namespace mono::engine
