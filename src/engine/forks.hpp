// Forks: around a fork(2) of the application (docs/adr/0018). The forking thread holds the engine's
// lock across it: what the child inherits is consistent, and so is its copy of the lock. The
// child's engine then has no connection, no request and a poller of its own: what still calls it
// there hears that the client has gone.
#pragma once

#include "os/fork_hook.hpp"

namespace mono::engine {

struct Core;

class Forks final : private os::ForkParty {
  public:
    explicit Forks(Core& core) : core_(core) {}

    // False: no memory.
    [[nodiscard]] bool join() { return os::join_forks(*this); }
    void part() { os::part_from_forks(*this); }

  private:
    void before_fork() override;
    void after_fork_in_parent() override;
    void after_fork_in_child() override;
    void forget_everything();

    Core& core_;
    bool locked_ = false;  // by the thread that forks
};

}  // namespace mono::engine
