// Work-conserving dispatch (docs/adr/0012): a complete request does not wait here for a slot while
// a sibling has a free one. Everything runs under the engine's lock.
#include "base/clock.hpp"
#include "engine/engine.hpp"

namespace mono::engine {

using session::Exchange;
using session::Next;

// The first that wait go first. At most as many as siblings have slots: the rest is tried again
// at the standby's next look.
void Engine::offer_ready() {
    if (!relay_.open() || busy_ < options_.slots || ready_head_ == nullptr) return;
    uint32_t free = options_.board->free_slots(options_.board_slot);
    Exchange* exchange = ready_head_;
    while (free != 0 && exchange != nullptr) {
        Exchange* next = exchange->next;
        if (hand_over(*static_cast<Link*>(exchange->link))) --free;
        exchange = next;
    }
}

bool Engine::hand_over(Link& link) {
    Exchange& exchange = *link.connection.exchange();
    // With folded fields or a 100 Continue on its way, a connection stays where it is.
    bool plain = link.connection.out.empty() && !options_.limits.head.permit_obsolete_folding;
    if (!plain || link.eof) return false;
    if (!relay_.send(exchange, link.fd.get(), link.connection.pipelined())) return false;
    unqueue(&exchange);
    recorder_.hand_over(exchange);
    // The description lives on in the packet, and would go on being reported here.
    if (link.polled) poller_.remove(link.fd.get());
    forget_link(link);
    return true;
}

// What siblings could not serve. False: there was nothing.
bool Engine::accept_relayed() {
    std::optional<Parcel> parcel = relay_.receive();
    if (!parcel) return false;
    Link& link = links_.add(context_, std::move(parcel->client), std::move(parcel->peer), now_ms_);
    ++unpolled_;
    session::Body body;
    if (parcel->body_file)
        body.adopt_spill(std::make_unique<SpillFile>(
            os::TempFile::adopt(std::move(parcel->body_file)), parcel->body_file_bytes));
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
    act(link, next);
    return true;
}

}  // namespace mono::engine
