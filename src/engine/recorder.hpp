// Recorder: writes what an engine holds and has done into its worker's slot of the scoreboard:
// the ledger (every request that was taken in ends as answered, refused or aborted), the load that
// siblings look at, and a Flight a request (docs/adr/0012). Without a scoreboard the slot is
// private. Owner: one engine, under its lock; the master and siblings read at any time, the
// worker's crash handler when all else has stopped (insurance.hpp).
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "board/scoreboard.hpp"
#include "os/shm.hpp"
#include "session/exchange.hpp"

namespace mono::engine {

enum class Ending : uint8_t { kAnswered, kRefused, kAborted };

class Recorder {
  public:
    // slot nullptr: a private one.
    explicit Recorder(board::Slot* slot);

    // A request was taken in: it is complete, or its body streams.
    void begin(session::Exchange& exchange, int fd);
    // The application gets it now.
    void dispatch(session::Exchange& exchange, int64_t now_us);
    // The head of its answer is on its way.
    void respond(const session::Exchange& exchange);
    // Its time is over (docs/adr/0013); `stuck`: even the time that ends the worker.
    void overdue(session::Exchange& exchange, int64_t now_us, bool stuck);
    // False: it is there already, or the master has told the story.
    bool advance_story(const session::Exchange& exchange, board::Story to);
    // The first ending counts, later ones are ignored.
    void end(session::Exchange& exchange, Ending ending);
    // Its client has gone or has got its answer: the descriptor is nobody's any more.
    void lose_client(const session::Exchange& exchange);
    // The application has let go of it.
    void leave(session::Exchange& exchange);
    // A sibling has it now: it was never here.
    void hand_over(session::Exchange& exchange);
    // What could not become a request was answered with a refusal.
    void refuse_unread();

    void publish_load(uint32_t slots, uint32_t busy, bool open);

    board::Totals totals() const;
    board::Slot& slot() const { return slot_; }
    // Whose record it is; for the crash handler.
    session::Exchange* exchange(uint32_t flight) const { return exchanges_[flight]; }

  private:
    board::Flight* flight(const session::Exchange& exchange) const;

    os::SharedMemory private_;
    board::Slot& slot_;
    std::vector<uint16_t> free_;                       // records given back
    std::unique_ptr<session::Exchange*[]> exchanges_;  // of the records; kFlightsMax
};

}  // namespace mono::engine
