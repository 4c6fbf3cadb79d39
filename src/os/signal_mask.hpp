// SignalsBlocked: while it lives, the calling thread has every signal blocked. A thread started
// meanwhile inherits that, so that signals keep interrupting the waits of the main thread only.
#pragma once

#include <csignal>

namespace mono::os {

class SignalsBlocked {
  public:
    SignalsBlocked() {
        sigset_t all;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;

  private:
    sigset_t before_;
};

}  // namespace mono::os
