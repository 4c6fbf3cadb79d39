// Insurance: what a worker that crashes or is aborted still does for its clients, in the signal
// handler (docs/adr/0014): a finished answer leaves; who waits for a running request gets 502 (504
// at an abort for lateness) with the request's id; who waits for one that the application never saw
// gets a sibling.
// Reads the scoreboard's slot and the exchanges of the recorder without a lock: the other threads
// of a process that dies may be anywhere, so nothing here is waited for or allocated.
#pragma once

#include <atomic>

#include "engine/outbox.hpp"
#include "engine/recorder.hpp"
#include "engine/relay.hpp"
#include "session/limits.hpp"

namespace mono::engine {

class Insurance {
  public:
    // They outlive it.
    Insurance(const Recorder& recorder, const Relay& relay, Outbox& outbox,
              const session::Limits& limits)
        : recorder_(recorder), relay_(relay), outbox_(outbox), limits_(limits) {}
    ~Insurance();
    Insurance(const Insurance&) = delete;
    Insurance& operator=(const Insurance&) = delete;

    // From the main thread, after everybody else has installed handlers.
    void install();
    // Async-signal-safe. `late`: the master ends the worker, because it does not react.
    void pay(bool late);
    // Nothing is begun any more: the process may live on for its last steps.
    bool paid() const { return paid_.load(std::memory_order_relaxed); }

  private:
    [[nodiscard]] bool hand_on(const session::Exchange& exchange, Link& link) const;
    [[nodiscard]] bool end_waiting(const session::Exchange& exchange, const board::Flight& flight,
                                   bool late) const;

    const Recorder& recorder_;
    const Relay& relay_;
    Outbox& outbox_;
    const session::Limits& limits_;
    std::atomic<bool> paid_{false};
};

}  // namespace mono::engine
