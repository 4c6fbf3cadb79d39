// DrainPlan: how far the end of a worker's service has come, and when its next step is due
// (docs/adr/0008). It is fed time and decides nothing but that; drainer.cpp takes the steps.
//
//            begin(false)                       begin(true)
//   kServing ────────────▶ kLeaving (siblings ──────────────▶ kStopping ── done() ──▶ kStopped
//      │                     serve on)                            ▲
//      └─────────────────────────── begin(true) ──────────────────┘
//
// Pure. Owner: one engine, under its lock.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace mono::engine {

// In the order in which they are due.
enum class DrainStep : uint8_t {
    kCloseListeners,  // whoever stood in the kernel's queue has been let in
    kHalfCloseIdle,   // connections that have sent no request since
    kRefuseWaiting,   // requests that have not reached the application: 503
    kFarewell,        // streams without an end are told to find one
    kCut,             // what runs is ended before the master ends the process; again and again
};

// Milliseconds, from the moment on at which nobody is accepted any more.
struct DrainSpans {
    int64_t accepting = 0;  // of a stop for good, until that moment
    int64_t refuse_waiting = 0;
    int64_t farewell = 0;
};

class DrainPlan {
  public:
    explicit DrainPlan(const DrainSpans& spans) : spans_(spans) {}

    // `for_good`: nobody accepts from the listeners after us. False: that was known before.
    bool begin(bool for_good, int64_t now_ms);
    // A worker that siblings survive is not done before, unless it is told to stop for good.
    void hold(int64_t until_ms);
    bool held(int64_t now_ms) const { return now_ms < hold_until_ms_; }
    // The next step that is due, the earlier ones first; each but kCut is given once.
    std::optional<DrainStep> next(int64_t now_ms);
    // A connection has become idle: it gets as long as those that were idle at the beginning.
    void note_idle(int64_t now_ms);
    // A stop for good has nothing left to serve.
    void done();

    bool begun() const { return phase_ != Phase::kServing; }
    bool told_for_good() const { return phase_ >= Phase::kStopping; }
    bool stopping() const { return phase_ == Phase::kStopping; }
    // Whether requests of others are taken over: not by who leaves its siblings behind.
    bool takes_over() const { return phase_ == Phase::kServing || phase_ == Phase::kStopping; }
    // Whether clients are let in: always, but for who leaves, and behind the step kCloseListeners.
    bool accepts() const { return phase_ == Phase::kServing || pends(DrainStep::kCloseListeners); }
    bool farewell_said() const { return farewell_said_; }
    bool out_of_time() const { return out_of_time_; }

  private:
    enum class Phase : uint8_t { kServing, kLeaving, kStopping, kStopped };
    static constexpr int64_t kNever = INT64_MAX;
    static constexpr size_t kSteps = static_cast<size_t>(DrainStep::kCut) + 1;

    int64_t& at(DrainStep step) { return at_ms_[static_cast<size_t>(step)]; }
    bool pends(DrainStep step) const { return at_ms_[static_cast<size_t>(step)] != kNever; }
    void schedule(int64_t accepted_until_ms);

    DrainSpans spans_;
    std::array<int64_t, kSteps> at_ms_{kNever, kNever, kNever, kNever, kNever};
    int64_t hold_until_ms_ = 0;
    Phase phase_ = Phase::kServing;
    bool farewell_said_ = false;
    bool out_of_time_ = false;
};

}  // namespace mono::engine
