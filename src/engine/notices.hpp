// Notices: what the engine has for its runner, which knows Python: lines for the error log, answers
// that no application has given, and owners of bytes that have left. The engine never calls up: the
// runner is rung for, or sees the level needs_attention(), and takes them.
// Owner: one engine, under its lock; needs_attention() needs none.
#pragma once

#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "engine/journal.hpp"
#include "engine/turn_bell.hpp"
#include "engine/unrun.hpp"
#include "os/wakeup.hpp"

namespace mono::engine {

class Notices {
  public:
    // A byte into `runner_fd` wakes who takes the lines; -1: who comes out of Engine::take().
    Notices(int runner_fd, TurnBell& bell) : bell_(bell), runner_fd_(runner_fd) {}

    // `where`: who speaks, for logs that tell.
    void say(Severity severity, std::string text, Place where = Place::here()) {
        const bool first = journal_.empty();
        journal_.add(severity, std::move(text), where);
        call_runner(first);
    }
    void add_unrun(const session::Exchange& exchange, uint16_t status, uint64_t body_bytes,
                   http::Error error) {
        const bool first = unrun_.empty();
        unrun_.add(exchange, status, body_bytes, error);
        call_runner(first);
    }
    // Bytes of this object will not be looked at any more.
    void release(void* owner) {
        owners_.push_back(owner);
        attention_.store(true, std::memory_order_relaxed);
    }
    // What was asked of the engine before anybody was accepted is done.
    bool ring_runner() const {
        if (runner_fd_ >= 0) os::ring(runner_fd_);
        return runner_fd_ >= 0;
    }

    bool needs_attention() const { return attention_.load(std::memory_order_relaxed); }
    // The level sends one thread out of take(), not all of them one after the other: the rest goes
    // on waiting until somebody has acted.
    bool hear() { return needs_attention() && !std::exchange(heard_, true); }

    std::vector<JournalEntry> take_journal() {
        std::vector<JournalEntry> entries = journal_.take();
        note_attention();
        return entries;
    }
    std::vector<Unrun> take_unrun() {
        auto [entries, dropped] = unrun_.take();
        if (dropped != 0) {
            say(Severity::kWarning, std::to_string(dropped) +
                                        " access log lines of refused requests were dropped: too "
                                        "many at once");
        }
        note_attention();
        return std::move(entries);
    }
    std::vector<void*> take_released() {
        std::vector<void*> owners = std::exchange(owners_, {});
        note_attention();
        return owners;
    }

  private:
    void call_runner(bool first) {
        if (runner_fd_ < 0) {
            attention_.store(true, std::memory_order_relaxed);
            if (first) bell_.ring();
        } else if (first) {
            os::ring(runner_fd_);
        }
    }
    void note_attention() {
        const bool says = runner_fd_ < 0 && (!journal_.empty() || !unrun_.empty());
        attention_.store(says || !owners_.empty(), std::memory_order_relaxed);
        heard_ = false;
    }

    TurnBell& bell_;
    const int runner_fd_;
    Journal journal_;
    UnrunList unrun_;
    std::vector<void*> owners_;
    std::atomic<bool> attention_{false};
    bool heard_ = false;  // a thread has left take() for it
};

}  // namespace mono::engine
