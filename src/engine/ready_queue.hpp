// ReadyQueue: requests that wait for the application, by the time since which they do. A list
// through Exchange::next: nothing is allocated. Owner: one engine, under its lock.
#pragma once

#include <cstdint>

#include "session/exchange.hpp"

namespace mono::engine {

class ReadyQueue {
  public:
    bool empty() const { return head_ == nullptr; }
    uint32_t size() const { return size_; }
    // Who has waited longest; nullptr: nobody waits.
    session::Exchange* front() const { return head_; }

    // What comes from a sibling is seldom the youngest.
    void push(session::Exchange& exchange) {
        const bool youngest = tail_ != nullptr && tail_->ready_us <= exchange.ready_us;
        session::Exchange** place = youngest ? &tail_->next : &head_;
        while (*place != nullptr && (*place)->ready_us <= exchange.ready_us)
            place = &(*place)->next;
        exchange.next = *place;
        *place = &exchange;
        if (exchange.next == nullptr) tail_ = &exchange;
        ++size_;
    }

    // Nothing happens where it does not wait.
    void remove(const session::Exchange& exchange) {
        session::Exchange* previous = nullptr;
        for (session::Exchange* at = head_; at != nullptr; previous = at, at = at->next) {
            if (at != &exchange) continue;
            (previous != nullptr ? previous->next : head_) = at->next;
            if (tail_ == at) tail_ = previous;
            at->next = nullptr;
            --size_;
            return;
        }
    }

    void clear() {
        head_ = tail_ = nullptr;
        size_ = 0;
    }

  private:
    session::Exchange* head_ = nullptr;
    session::Exchange* tail_ = nullptr;
    uint32_t size_ = 0;
};

}  // namespace mono::engine
