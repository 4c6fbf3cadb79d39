#include "board/scoreboard.hpp"

#include <algorithm>

namespace mono::board {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

void add(const Ledger& ledger, Totals& totals) {
    totals.accepted += ledger.accepted.load(kRelaxed);
    totals.answered += ledger.answered.load(kRelaxed);
    totals.refused += ledger.refused.load(kRelaxed);
    totals.aborted += ledger.aborted.load(kRelaxed);
}

void bury(Ledger& from, Ledger& dead) {
    Totals last;
    add(from, last);
    // What a killed worker held will never be answered by anybody.
    uint64_t ended = last.answered + last.refused + last.aborted;
    last.aborted += last.accepted - std::min(ended, last.accepted);
    dead.accepted.fetch_add(last.accepted, kRelaxed);
    dead.answered.fetch_add(last.answered, kRelaxed);
    dead.refused.fetch_add(last.refused, kRelaxed);
    dead.aborted.fetch_add(last.aborted, kRelaxed);
    for (auto* counter : {&from.accepted, &from.answered, &from.refused, &from.aborted})
        counter->store(0, kRelaxed);
}

}  // namespace

Scoreboard::Scoreboard(void* memory, uint32_t slots)
    : header_(static_cast<Header*>(memory)),
      dead_(reinterpret_cast<Ledger*>(static_cast<char*>(memory) + sizeof(Header))),
      slots_(reinterpret_cast<Slot*>(static_cast<char*>(memory) + 2 * sizeof(Header))),
      count_(slots) {
    static_assert(sizeof(Ledger) <= sizeof(Header) && sizeof(Header) == alignof(Slot));
}

void Scoreboard::clear(uint32_t index) const {
    Slot& from = slots_[index];
    bury(from.ledger, *dead_);
    for (auto* field : {&from.ready, &from.slots, &from.busy, &from.open, &from.in_flight,
                        &from.overdue, &from.stuck, &from.leaving, &from.told_by})
        field->store(0, kRelaxed);
    from.beat_ms.store(0, kRelaxed);
    from.service.store(Service::kOpen, kRelaxed);
    // Only where somebody was: an untouched page costs no memory.
    uint32_t used = std::min(kFlightsMax, from.flights_used.load(kRelaxed));
    for (uint32_t i = 0; i < used; ++i) from.flights[i].phase.store(FlightPhase::kFree, kRelaxed);
    if (index >= header_->slots_used.load(kRelaxed))
        header_->slots_used.store(index + 1, std::memory_order_release);
}

uint32_t Scoreboard::used() const {
    return std::min(count_, header_->slots_used.load(std::memory_order_acquire));
}

Totals Scoreboard::totals() const {
    Totals totals;
    add(*dead_, totals);
    for (uint32_t index = 0, end = used(); index < end; ++index) add(slots_[index].ledger, totals);
    return totals;
}

bool Scoreboard::waiting(uint32_t mine) const {
    for (uint32_t index = 0, end = used(); index < end; ++index) {
        const Slot& slot = slots_[index];
        if (index != mine && slot.busy.load(kRelaxed) > slot.slots.load(kRelaxed)) return true;
    }
    return false;
}

uint32_t Scoreboard::free_slots(uint32_t mine) const {
    uint32_t free = 0;
    for (uint32_t index = 0, end = used(); index < end; ++index) {
        const Slot& slot = slots_[index];
        if (index == mine || slot.open.load(kRelaxed) == 0) continue;
        uint32_t busy = slot.busy.load(kRelaxed);
        uint32_t all = slot.slots.load(kRelaxed);
        if (busy < all) free += all - busy;
    }
    return free;
}

bool Scoreboard::has_open_sibling(uint32_t mine) const {
    for (uint32_t index = 0, end = used(); index < end; ++index)
        if (index != mine && slots_[index].open.load() != 0) return true;
    return false;
}

}  // namespace mono::board
