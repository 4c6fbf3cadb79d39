// Poller: an epoll set. Keys carry a slot and a generation, so that an event for a descriptor that
// was closed and reused in the same batch is recognised and dropped (engine/engine.hpp).
// Thread-safe as epoll(7) is: wait() may run beside add() and remove().
#pragma once

#include <cstdint>
#include <span>

#include "os/fd.hpp"

namespace mono::os {

// What became possible on a descriptor, and under which key it was added.
struct Ready {
    uint64_t key = 0;
    bool readable = false;
    bool writable = false;
    bool hangup = false;  // the peer will send no more; readable too, for it may have sent before
    bool error = false;
};

class Poller {
  public:
    Poller();  // ok() tells whether the kernel gave a descriptor
    bool ok() const { return static_cast<bool>(epoll_); }
    int fd() const { return epoll_.get(); }

    // Edge-triggered, reading and writing, for connections. False: errno tells.
    [[nodiscard]] bool add_stream(int fd, uint64_t key);
    // Reports the stream's present state once more: for who stopped before EAGAIN.
    [[nodiscard]] bool remind(int fd, uint64_t key);
    // Level-triggered reading; `exclusive` wakes one of several processes (EPOLLEXCLUSIVE).
    [[nodiscard]] bool add_reader(int fd, uint64_t key, bool exclusive);
    void remove(int fd);

    // In a forked child: an empty set of its own under the same number. What is done to the
    // descriptor of the parent's set would be done to the parent's.
    void renew();

    static constexpr int kBatch = 256;
    // Returns the number of events, kBatch at most; 0 at the timeout; -1 when a signal interrupted
    // it.
    int wait(std::span<Ready> ready, int timeout_ms);

  private:
    Fd epoll_;
};

// Waits until `poll_fd` is readable or `kick_fd` is; true when `poll_fd` is. -1 = for ever.
bool wait_readable(int poll_fd, int kick_fd, int timeout_ms);

// The calling thread sleeps that long, at least 1 and less than 1000 ms; a signal may end it.
void pause_ms(int duration_ms);

}  // namespace mono::os
