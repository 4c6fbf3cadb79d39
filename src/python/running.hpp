// Running: the requests of a nested engine that were handed out and whose tasks, or greenlets, have
// not come to their end. Some have been answered long ago: those the engine does not know any more.
// Owned by EngineParts, which outlives the Exchange objects that are in it; under the lock of the
// Engine object (Locked), because the last reference to an Exchange may go in any thread.
#pragma once

#include <cstdint>

#include "python/ref.hpp"

namespace mono::python {

// A part of its Exchange object, and so born as zeros.
struct RunningRequest {
    PyObject** task;  // what runs it; None until that is there
    RunningRequest* next;
    RunningRequest** link;  // what points here; nullptr: it is in no list
};

class Running {
  public:
    void add(RunningRequest& one, PyObject** task) {
        one = {task, first_, &first_};
        if (first_ != nullptr) first_->link = &one.next;
        first_ = &one;
        ++count_;
    }
    // True: there was no room for another one, and now there is.
    bool remove(RunningRequest& one) {
        if (one.link == nullptr) return false;
        *one.link = one.next;
        if (one.next != nullptr) one.next->link = one.link;
        one.link = nullptr;
        return count_-- == most_;
    }
    // For how many more there is room, of `most` at once.
    uint32_t room(uint32_t most) {
        most_ = most;
        return most > count_ ? most - count_ : 0;
    }
    uint32_t count() const { return count_; }
    RunningRequest* first() const { return first_; }

  private:
    RunningRequest* first_ = nullptr;
    uint32_t count_ = 0;
    uint32_t most_ = UINT32_MAX;
};

}  // namespace mono::python
