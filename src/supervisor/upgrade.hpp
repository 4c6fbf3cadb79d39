// USR2: another master beside this one. Owned by the supervisor; at most one at a time, and none
// while the master that started this one still lives.
#pragma once

#include "supervisor/step.hpp"

namespace mono::supervisor {

class Upgrade {
  public:
    explicit Upgrade(bool unpromoted) : unpromoted_(unpromoted) {}

    void request(Step& step) {
        if (pid_ != 0 || asked_) {
            return step.log(kWarning, "USR2 ignored: a new master is running already");
        }
        if (unpromoted_) {
            return step.log(kWarning, "USR2 ignored: the master that started this one still runs");
        }
        asked_ = true;
        step.act(ActionKind::kReexec);
    }
    // The answer; 0: it could not be started.
    void answered(int pid) {
        asked_ = false;
        if (pid != 0) pid_ = pid;
    }
    void promoted() { unpromoted_ = false; }
    bool is(int pid) const { return pid == pid_ && pid > 0; }
    void exited(bool well, Step& step) {
        pid_ = 0;
        if (stopping(step.phase) || well) return;
        step.log(kWarning, "The new master is gone; this one goes on");
    }

  private:
    bool unpromoted_;
    bool asked_ = false;
    int pid_ = 0;
};

}  // namespace mono::supervisor
