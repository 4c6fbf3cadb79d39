#include "supervisor/scoreboard.hpp"

namespace mono::supervisor {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

void move_to(std::atomic<uint64_t>& from, std::atomic<uint64_t>& sum) {
    sum.fetch_add(from.exchange(0, kRelaxed), kRelaxed);
}

}  // namespace

void Scoreboard::clear(uint32_t index) const {
    Slot& from = slots_[index];
    Slot& sums = slots_[count_];
    move_to(from.accepted, sums.accepted);
    move_to(from.answered, sums.answered);
    move_to(from.refused, sums.refused);
    move_to(from.aborted, sums.aborted);
    from.in_flight.store(0, kRelaxed);
    from.ready.store(0, kRelaxed);
    from.beat_ms.store(0, kRelaxed);
}

Totals Scoreboard::totals() const {
    Totals totals;
    for (uint32_t index = 0; index <= count_; ++index) {
        const Slot& slot = slots_[index];
        totals.accepted += slot.accepted.load(kRelaxed);
        totals.answered += slot.answered.load(kRelaxed);
        totals.refused += slot.refused.load(kRelaxed);
        totals.aborted += slot.aborted.load(kRelaxed);
    }
    return totals;
}

}  // namespace mono::supervisor
