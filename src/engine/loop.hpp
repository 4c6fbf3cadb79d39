// Loop: what a connection does next. One flat loop, in which nothing calls what calls it: a
// client's bytes never decide how deep the stack is, and one turn does not last as long as they do.
// Whoever has news of a link drives it: an event, time, the application's answer.
// Owner: the Core, under its lock.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/link.hpp"
#include "session/connection.hpp"

namespace mono::engine {

struct Core;

class Loop {
  public:
    explicit Loop(Core& core);

    // As far as it goes, within a turn's bound. False: the link was closed.
    bool drive(Link& link, session::Next next);
    // For who writes: sends what there is, and goes on with nothing. False: the link was closed.
    bool push(Link& link);
    // The link's deadline may be another one.
    void rearm(Link& link);

  private:
    // What is to be done next on a connection.
    enum class Work : uint8_t { kNone, kSend, kAdvance, kReceive, kSettle, kClose };

    bool act(Link& link, session::Next next);
    Work work_of(const Link& link) const;
    Work work_of(Multiplexer& multiplexer, const Link& link) const;
    session::Next perform(Link& link, Work work);
    session::Next part(Link& link);
    bool send(Link& link);
    session::Next advance(Link& link);
    session::Next receive(Link& link);
    void dispatch(Link& link);
    void progressed(Link& link);
    bool rest(Link& link);
    bool later(Link& link);

    Core& core_;
    std::unique_ptr<char[]> scratch_;  // kReceiveBytes: what recv(2) gave last
};

}  // namespace mono::engine
