#include "base/timer_wheel.hpp"

namespace mono::base {

TimerWheel::TimerWheel(int64_t now_ms) : current_tick_(now_ms / kTickMs) {
    for (Slot& slot : slots_) slot.previous = slot.next = &slot;
}

void TimerWheel::link(TimerNode& node, int64_t tick) {
    if (tick <= current_tick_) tick = current_tick_ + 1;
    if (tick >= current_tick_ + kSlots) tick = current_tick_ + kSlots - 1;
    auto index = static_cast<size_t>(tick % kSlots);
    TimerNode& slot = slots_[index];
    node.queued_tick = tick;
    node.previous = slot.previous;
    node.next = &slot;
    slot.previous->next = &node;
    slot.previous = &node;
    occupied_[index / 64] |= uint64_t{1} << (index % 64);
    ++queued_;
}

void TimerWheel::arm(TimerNode& node, int64_t deadline_ms) {
    node.deadline_ms = deadline_ms;
    int64_t tick = tick_of(deadline_ms);
    if (node.queued()) {
        if (tick >= node.queued_tick) return;
        cancel(node);
    }
    link(node, tick);
}

void TimerWheel::cancel(TimerNode& node) {
    if (!node.queued()) return;
    node.previous->next = node.next;
    node.next->previous = node.previous;
    node.next = node.previous = nullptr;
    --queued_;
}

TimerNode* TimerWheel::expire(int64_t now_ms) {
    int64_t now_tick = now_ms / kTickMs;
    while (true) {
        auto index = static_cast<size_t>(current_tick_ % kSlots);
        TimerNode& slot = slots_[index];
        while (slot.next != &slot) {
            TimerNode& node = *slot.next;
            cancel(node);
            if (node.deadline_ms <= now_ms) return &node;
            link(node, tick_of(node.deadline_ms));
        }
        occupied_[index / 64] &= ~(uint64_t{1} << (index % 64));
        if (current_tick_ >= now_tick) return nullptr;
        ++current_tick_;
    }
}

int64_t TimerWheel::sleep_ms(int64_t now_ms) const {
    if (queued_ == 0) return -1;
    const auto current = static_cast<size_t>(current_tick_);
    for (int64_t ahead = 0; ahead < kSlots;) {
        const size_t index = (current + static_cast<size_t>(ahead)) % kSlots;
        uint64_t word = occupied_[index / 64] >> (index % 64);
        if (word == 0) {
            ahead += 64 - static_cast<int64_t>(index % 64);
            continue;
        }
        ahead += __builtin_ctzll(word);
        int64_t due_ms = (current_tick_ + ahead) * kTickMs;
        return due_ms > now_ms ? due_ms - now_ms : 0;
    }
    return -1;
}

}  // namespace mono::base
