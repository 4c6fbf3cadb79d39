// Work-conserving dispatch (docs/adr/0012): a complete request does not wait here for a slot while
// a sibling has a free one. Everything runs under the engine's lock.
#include "base/clock.hpp"
#include "engine/engine.hpp"

namespace mono::engine {

using session::Exchange;
using session::Next;

// The pair is the one queue of all workers: whoever has a free slot first takes what has waited
// longest. `long_wait`: what runs here takes long, so all that waits goes there; else only as much
// as siblings have slots now, for this worker's next slot is as near as the pair.
void Engine::offer_ready(bool long_wait) {
    if (!relay_.open() || insurance_.paid() || busy_ < options_.slots || ready_head_ == nullptr)
        return;
    bool all = long_wait && options_.board->has_open_sibling(options_.board_slot);
    uint32_t room = all ? UINT32_MAX : options_.board->free_slots(options_.board_slot);
    Exchange* exchange = ready_head_;
    while (room != 0 && exchange != nullptr) {
        Exchange* next = exchange->next;
        Handover handover = hand_over(*exchange->link);
        if (handover == Handover::kFull) return;
        if (handover == Handover::kDone) --room;
        exchange = next;
    }
}

Handover Engine::hand_over(Link& link) {
    Exchange& exchange = *link.connection.exchange();
    if (!may_move(link, options_.limits) || link.eof) return Handover::kUnfit;
    Handover handover = relay_.send(exchange, link.fd.get(), link.connection.pipelined());
    if (handover != Handover::kDone) return handover;
    unqueue(&exchange);
    recorder_.hand_over(exchange);
    // The description lives on in the packet, and would go on being reported here.
    if (link.polled) poller_.remove(link.fd.get());
    forget_link(link);
    return Handover::kDone;
}

// What siblings could not serve. False: there was nothing.
bool Engine::accept_relayed() {
    std::optional<Parcel> parcel = relay_.receive();
    if (!parcel) return false;
    Link& link = links_.add(context_, std::move(parcel->client), std::move(parcel->peer), now_ms_);
    ++descriptors_.links;
    ++unpolled_;
    session::Body body;
    if (parcel->body_file)
        body.adopt_spill(body_spills_.adopt(std::move(parcel->body_file), parcel->body_file_bytes));
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
    if (drive(link, next) && os::has_hung_up(link.fd.get())) close_link(link);
    return true;
}

}  // namespace mono::engine
