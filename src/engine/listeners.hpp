// Listeners: the sockets that a worker accepts from, and whether the poller watches them. They are
// the caller's. Owner: one engine, under its lock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "os/poller.hpp"

namespace mono::engine {

class Listeners {
  public:
    // `shared`: siblings accept from the same sockets.
    Listeners(os::Poller& poller, bool shared) : poller_(poller), shared_(shared) {}

    // False: errno.
    [[nodiscard]] bool add(int fd);
    size_t size() const { return fds_.size(); }
    int fd(size_t index) const { return fds_[index]; }
    bool shared() const { return shared_; }

    // A worker that cannot serve leaves new connections to its siblings, and must not spin on a
    // level that it does not act on. False: they were not watched.
    bool pause();
    // So long, whatever becomes free meanwhile.
    void rest_until(int64_t ms) { rest_until_ms_ = ms; }
    bool resting() const { return rest_until_ms_ != 0; }
    bool rested(int64_t now_ms) const { return resting() && now_ms >= rest_until_ms_; }
    void end_rest() { rest_until_ms_ = 0; }
    // False: one of them cannot be watched.
    [[nodiscard]] bool resume();
    bool paused() const { return paused_; }

    // The kernel has a connection for us. Without waiting.
    bool anybody_waits() const;

  private:
    [[nodiscard]] bool watch(size_t index);

    os::Poller& poller_;
    const bool shared_;
    bool paused_ = false;
    int64_t rest_until_ms_ = 0;
    std::vector<int> fds_;
};

}  // namespace mono::engine
