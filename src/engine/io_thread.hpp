// IoThread: the engine's own thread, never attached to Python. Beside threads in take() it leads
// the engine while every slot runs the application and nobody else does, so that reading, flushing
// and deadlines go on beside a slow application. Beside an event loop it keeps the deadlines.
// Owner: the Core, under its lock.
#pragma once

#include <cstdint>
#include <thread>

#include "engine/waiters.hpp"
#include "os/wakeup.hpp"

namespace mono::engine {

struct Core;

class IoThread {
  public:
    explicit IoThread(Core& core) : core_(core) {}

    void start();
    void start_watch();
    // Waits for its end. Without the lock.
    void stop();
    // In a process that the application forked: there is no such thread.
    void detach();
    void renew() { kick_.renew(); }

    // It leads when nobody else does.
    bool runs() const { return thread_.joinable(); }
    bool leads() const { return leads_; }
    // Ends its wait.
    void kick() { kick_.ring(); }
    // A deadline is nearer than those it knows.
    void kick_watch();
    // A request begins: it shall look now and then.
    void wake_up();
    // Something waits that must not wait for long.
    void hurry();
    // What a crowd took goes back to the system. Not while connections merely come and go.
    void trim(Lock& lock);

  private:
    // How often it looks: not at all, every few milliseconds, every millisecond.
    enum class Pace : uint8_t { kDormant, kSlow, kFast };

    void run();
    void run_watch();
    void lead(Lock& lock);
    void wait(Lock& lock);
    Pace next_pace(bool eventful, int64_t active_ms, int& calm_looks) const;

    Core& core_;
    std::thread thread_;
    std::thread watch_;
    os::Wakeup kick_;
    Pace pace_ = Pace::kDormant;
    bool leads_ = false;
    bool quit_ = false;
    int64_t trimmed_ms_ = 0;
};

}  // namespace mono::engine
