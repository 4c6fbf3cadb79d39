// NoticeCalls: what a runner hears of its engine beside requests: lines for the error log, what
// was released, totals; and the access log's ends. Each call takes the engine's lock, but for
// needs_attention(). Any thread.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "board/scoreboard.hpp"
#include "engine/journal.hpp"
#include "engine/unrun.hpp"

namespace mono::engine {

struct Core;

class NoticeCalls {
  public:
    // There are released owners or, without a runner_fd, entries in the journal. A level: whoever
    // sees it takes them.
    bool needs_attention() const;
    std::vector<JournalEntry> take_journal();
    std::vector<void*> take_released();
    // With keep_unrun: what was answered without the application, for the access log.
    std::vector<Unrun> take_unrun();
    void log(Severity severity, std::string text, Place where = Place::here());

    board::Totals totals();
    uint64_t connections_accepted();
    uint32_t connections();

    void reopen_access_log(int fd);
    // The last thing of a worker: waits a moment for room, and tells how many lines found none.
    void close_access_log();

  protected:
    explicit NoticeCalls(Core& core) : core_(core) {}

  private:
    Core& core_;
};

}  // namespace mono::engine
