#include "engine/recorder.hpp"

namespace mono::engine {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
using board::Flight;
using board::FlightPhase;
using session::Exchange;

// One writer: a plain addition, no locked instruction.
template <class Number>
void add(std::atomic<Number>& counter, Number amount) {
    counter.store(counter.load(kRelaxed) + amount, kRelaxed);
}

}  // namespace

Recorder::Recorder(board::Slot* slot)
    : private_(slot == nullptr ? sizeof(board::Slot) : 0),
      slot_(slot != nullptr ? *slot : *static_cast<board::Slot*>(private_.data())),
      exchanges_(new session::Exchange* [board::kFlightsMax] {}) {}

Flight* Recorder::flight(const Exchange& exchange) const {
    return exchange.flight == Exchange::kNoFlight ? nullptr : &slot_.flights[exchange.flight];
}

void Recorder::begin(Exchange& exchange, int fd) {
    exchange.counted = exchange.recorded = true;
    add(slot_.ledger.accepted, uint64_t{1});
    add(slot_.in_flight, 1u);
    if (free_.empty()) {
        uint32_t used = slot_.flights_used.load(kRelaxed);
        if (used == board::kFlightsMax) return;  // only counted
        slot_.flights_used.store(used + 1, std::memory_order_release);
        free_.push_back(static_cast<uint16_t>(used));
    }
    exchange.flight = free_.back();
    free_.pop_back();
    Flight& record = slot_.flights[exchange.flight];
    record.fd.store(fd, std::memory_order_relaxed);
    record.began_us = exchange.started_us;
    record.dispatched_us = 0;
    record.overdue_us.store(0, kRelaxed);
    record.story.store(board::Story::kNone, kRelaxed);
    record.id.set(exchange.request_id());
    record.client.set(exchange.peer.host);
    record.method.set(exchange.text(exchange.head.method));
    record.target.set(exchange.text(exchange.head.target));
    exchanges_[exchange.flight] = &exchange;
    record.phase.store(FlightPhase::kQueued, std::memory_order_release);
}

void Recorder::dispatch(Exchange& exchange, int64_t now_us) {
    Flight* record = flight(exchange);
    if (record == nullptr) return;
    record->dispatched_us = now_us;
    record->phase.store(FlightPhase::kRunning, std::memory_order_release);
}

void Recorder::respond(const Exchange& exchange) {
    Flight* record = flight(exchange);
    if (record != nullptr) record->phase.store(FlightPhase::kResponding, std::memory_order_release);
}

void Recorder::overdue(Exchange& exchange, int64_t now_us, bool stuck) {
    exchange.lateness = stuck ? Exchange::Lateness::kStuck : Exchange::Lateness::kOverdue;
    add(stuck ? slot_.stuck : slot_.overdue, 1u);
    Flight* record = flight(exchange);
    if (record == nullptr || stuck) return;
    record->overdue_us.store(now_us, std::memory_order_release);
}

bool Recorder::advance_story(const Exchange& exchange, board::Story to) {
    Flight* record = flight(exchange);
    if (record == nullptr) return true;
    board::Story from = record->story.load(kRelaxed);
    while (from != board::Story::kTold && from != to) {
        if (record->story.compare_exchange_weak(from, to)) return true;
    }
    return false;
}

void Recorder::end(Exchange& exchange, Ending ending) {
    if (!exchange.counted) return;
    exchange.counted = false;
    switch (ending) {
        case Ending::kAnswered:
            add(slot_.ledger.answered, uint64_t{1});
            break;
        case Ending::kRefused:
            add(slot_.ledger.refused, uint64_t{1});
            break;
        case Ending::kAborted:
            add(slot_.ledger.aborted, uint64_t{1});
            break;
    }
    if (!exchange.handed_out) leave(exchange);
}

void Recorder::lose_client(const Exchange& exchange) {
    Flight* record = flight(exchange);
    if (record != nullptr) record->fd.store(-1);
}

void Recorder::leave(Exchange& exchange) {
    if (exchange.lateness != Exchange::Lateness::kNone) add(slot_.overdue, ~0u);
    if (exchange.lateness == Exchange::Lateness::kStuck) add(slot_.stuck, ~0u);
    exchange.lateness = Exchange::Lateness::kNone;
    if (exchange.recorded) {
        exchange.recorded = false;
        add(slot_.in_flight, ~0u);
    }
    Flight* record = flight(exchange);
    if (record == nullptr) return;
    record->phase.store(FlightPhase::kFree, std::memory_order_release);
    exchanges_[exchange.flight] = nullptr;
    free_.push_back(exchange.flight);
    exchange.flight = Exchange::kNoFlight;
}

void Recorder::hand_over(Exchange& exchange) {
    exchange.counted = false;
    add(slot_.ledger.accepted, ~uint64_t{0});
    leave(exchange);
}

void Recorder::refuse_unread() {
    add(slot_.ledger.accepted, uint64_t{1});
    add(slot_.ledger.refused, uint64_t{1});
}

void Recorder::publish_load(uint32_t slots, uint32_t busy, bool open) {
    slot_.slots.store(slots, kRelaxed);
    slot_.busy.store(busy, kRelaxed);
    slot_.open.store(open ? 1 : 0, kRelaxed);
}

board::Totals Recorder::totals() const {
    const board::Ledger& ledger = slot_.ledger;
    return {ledger.accepted.load(kRelaxed), ledger.answered.load(kRelaxed),
            ledger.refused.load(kRelaxed), ledger.aborted.load(kRelaxed)};
}

}  // namespace mono::engine
