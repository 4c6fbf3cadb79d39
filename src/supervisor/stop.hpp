// The end of the server: TERM or QUIT to all workers of all pools, one deadline, KILL, and the
// halt. Owned by the supervisor. A stop always ends in a halt.
#pragma once

#include <string>

#include "supervisor/rollout.hpp"
#include "supervisor/step.hpp"

namespace mono::supervisor {

class Stop {
  public:
    // From Running or Reloading, which both allow it. The time is that of the first pool's grace.
    void begin(PhaseInput input, int code, std::string reason, Pools& pools, Step& step);
    // INT or QUIT while it stops.
    void shorten(int number, Pools& pools, Step& step);
    // Whether all are gone; else what their deadline asks for.
    void go_on(Pools& pools, Step& step);

  private:
    int exit_code_ = 0;
    std::string exit_reason_;
    bool killed_all_ = false;
};

}  // namespace mono::supervisor
