// Overdue: running requests whose time is over (docs/adr/0013), on their way through three
// stations: uncollected, until the runner has heard of them; then running, until it has interrupted
// their applications; then interrupted, until they end. Or back: what was raised may get lost on
// its way. And when to ring for the runner: once for however many there are, and again after a
// while, twice as long each time. Pure. Owner: one engine, under its lock.
#pragma once

#include <algorithm>
#include <cstdint>
#include <utility>
#include <vector>

#include "session/exchange.hpp"

namespace mono::engine {

class Overdue {
  public:
    bool empty() const { return uncollected_.empty() && running_.empty(); }
    const std::vector<session::Exchange*>& uncollected() const { return uncollected_; }

    void add(session::Exchange& exchange, int64_t now_ms) {
        if (uncollected_.empty()) since_ms_ = now_ms;
        uncollected_.push_back(&exchange);
    }

    // Nobody has been told of what is uncollected.
    bool unrung() const { return !uncollected_.empty() && rings_ == 0; }
    // A signal that came just before the thread went to sleep in a system call did not wake it.
    bool ring_again(int64_t now_ms) const {
        return !empty() && now_ms - rung_ms_ >= kRingAgainMs << std::min(rings_, kDoublingsMax);
    }
    void note_ring(int64_t now_ms) {
        ++rings_;
        rung_ms_ = now_ms;
    }
    // For so long that Python does not run.
    bool unheard(int64_t now_ms) const {
        return !uncollected_.empty() && now_ms - since_ms_ >= kUnheardMs;
    }

    // The runner has heard: what is uncollected becomes the caller's, who brings back by
    // await_interruption() those whose applications run on.
    std::vector<session::Exchange*> collect() {
        rings_ = 0;
        return std::exchange(uncollected_, {});
    }
    void await_interruption(session::Exchange& exchange) { running_.push_back(&exchange); }
    // Calls visit(exchange) for each of these; true: it is dealt with.
    template <class Visit>
    void visit_running(Visit visit) {
        std::erase_if(running_, [&](session::Exchange* exchange) { return visit(*exchange); });
    }
    // False: it was not among them.
    bool take_running(const session::Exchange& exchange) {
        return std::erase(running_, &exchange) != 0;
    }
    void note_interrupted(session::Exchange& exchange) {
        exchange.interrupted = true;
        interrupted_.push_back(&exchange);
    }
    // It has not heard: those of whom is_it(exchange) is true are to be interrupted again.
    template <class Is>
    void take_back(Is is_it) {
        std::erase_if(interrupted_, [&](session::Exchange* exchange) {
            if (exchange->leaving || !is_it(*exchange)) return false;
            exchange->interrupted = false;
            await_interruption(*exchange);
            return true;
        });
    }
    // The request has ended. True: nobody had collected it.
    bool forget(const session::Exchange& exchange) {
        std::erase(running_, &exchange);
        std::erase(interrupted_, &exchange);
        return std::erase(uncollected_, &exchange) != 0;
    }
    void clear() { uncollected_.clear(); }

  private:
    static constexpr int64_t kRingAgainMs = 250;
    static constexpr uint32_t kDoublingsMax = 5;
    static constexpr int64_t kUnheardMs = 1'000;

    std::vector<session::Exchange*> uncollected_;
    std::vector<session::Exchange*> running_;
    std::vector<session::Exchange*> interrupted_;
    uint32_t rings_ = 0;    // since the last collection
    int64_t rung_ms_ = 0;   // the last of them
    int64_t since_ms_ = 0;  // there is something uncollected
};

}  // namespace mono::engine
