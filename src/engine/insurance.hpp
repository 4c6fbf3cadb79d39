// Insurance: what a worker that crashes or is aborted still does for its clients, in the signal
// handler (docs/adr/0014): a finished answer leaves; who waits for a running request gets 502 (504
// at an abort for lateness) with the request's id; who waits for one that the application never saw
// gets a sibling.
// Reads the scoreboard's slot and the exchanges of the recorder without a lock: the other threads
// of a process that dies may be anywhere, so nothing here is waited for or allocated.
#pragma once

#include "engine/outbox.hpp"
#include "engine/recorder.hpp"
#include "engine/relay.hpp"

namespace mono::engine {

class Insurance {
  public:
    // They outlive it.
    Insurance(const Recorder& recorder, const Relay& relay, Outbox& outbox)
        : recorder_(recorder), relay_(relay), outbox_(outbox) {}
    ~Insurance();
    Insurance(const Insurance&) = delete;
    Insurance& operator=(const Insurance&) = delete;

    // From the main thread, after everybody else has installed handlers.
    void install();
    // Async-signal-safe. `late`: the master ends the worker, because it does not react.
    void pay(bool late) const;

  private:
    const Recorder& recorder_;
    const Relay& relay_;
    Outbox& outbox_;
};

}  // namespace mono::engine
