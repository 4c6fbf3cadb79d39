// Wakeup: makes a waiting epoll or poll return. A pipe, not an eventfd, because Python's
// signal.set_wakeup_fd writes single bytes. Any thread and any signal handler may ring.
#pragma once

#include "os/fd.hpp"

namespace mono::os {

// A zero byte into a pipe: whoever reads it wakes up. -1: nobody does.
void ring(int fd);

class Wakeup {
  public:
    Wakeup();
    bool ok() const { return static_cast<bool>(reader_); }
    int reader() const { return reader_.get(); }
    int writer() const { return writer_.get(); }
    void ring();
    void drain();
    // In a forked child: a pipe of its own under the same numbers.
    void renew();

  private:
    Fd reader_;
    Fd writer_;
};

}  // namespace mono::os
