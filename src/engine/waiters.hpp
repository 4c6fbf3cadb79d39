// Waiters: threads that wait under the engine's lock, and whom to wake. A notification that nobody
// waits for costs a look at a counter. Owner: one engine, under its lock.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>

namespace mono::engine {

using Lock = std::unique_lock<std::mutex>;

class Waiters {
  public:
    // One kind of waiting. timeout_ms < 0: for ever.
    class Queue {
      public:
        void wait(Lock& lock, int64_t timeout_ms) {
            ++count_;
            if (timeout_ms < 0)
                event_.wait(lock);
            else
                event_.wait_for(lock, std::chrono::milliseconds(timeout_ms));
            --count_;
        }
        template <class Condition>
        void wait_until(Lock& lock, Condition condition) {
            ++count_;
            event_.wait(lock, condition);
            --count_;
        }
        bool empty() const { return count_ == 0; }
        void wake_one() {
            if (count_ != 0) event_.notify_one();
        }
        void wake_all() {
            if (count_ != 0) event_.notify_all();
        }

      private:
        std::condition_variable event_;
        uint32_t count_ = 0;
    };

    Queue& takers() { return queues_->takers; }    // in take(), beside the leader
    Queue& writers() { return queues_->writers; }  // for a slow reader
    Queue& readers() { return queues_->readers; }  // for a slow sender
    bool anybody_takes() const { return !queues_->takers.empty(); }

    // In a forked child glibc would wait for waiters that are not there to destroy them: it leaves
    // them.
    void leave() { [[maybe_unused]] Queues* left = queues_.release(); }

  private:
    struct Queues {
        Queue takers;
        Queue writers;
        Queue readers;
    };
    std::unique_ptr<Queues> queues_ = std::make_unique<Queues>();
};

}  // namespace mono::engine
