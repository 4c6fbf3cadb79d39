// Outbox: whole answers that leave together. While further requests wait for the application, an
// answer waits here: a run of requests is followed by a run of sends, which find the kernel's code
// in the caches and wake the peer once (docs/adr/0017).
// Owner: one engine, under its lock. The crash handler reads it without (insurance.hpp): nothing
// here moves, and who takes an answer's descriptor is the only one to send it.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>

#include "engine/link.hpp"

namespace mono::engine {

class Outbox {
  public:
    static constexpr size_t kBytesMax = 64 * 1024;
    static constexpr uint32_t kAnswersMax = 64;

    bool empty() const { return count() == 0; }
    uint32_t count() const { return count_.load(std::memory_order_acquire); }

    // Where an answer of at most `bytes` can be written; nullptr: there is no room.
    char* reserve(size_t bytes) {
        bool fits = count() < kAnswersMax && used_ + bytes <= kBytesMax;
        return fits ? bytes_.get() + used_ : nullptr;
    }
    // What was written there. The link outlives its answer, or takes it back.
    void put(Link& link, size_t bytes) {
        Answer& answer = answers_[count()];
        answer.link = &link;
        answer.exchange = link.connection.exchange();
        answer.bytes = {bytes_.get() + used_, bytes};
        answer.fd.store(link.transport.bare_fd(), std::memory_order_relaxed);
        used_ += bytes;
        count_.fetch_add(1, std::memory_order_release);
        link.boxed = true;
    }
    // The answer becomes the caller's, until clear(). Empty: it was dropped, and its link is gone.
    std::string_view take(uint32_t index) {
        Answer& answer = answers_[index];
        if (answer.fd.exchange(-1) < 0) return {};
        answer.link->boxed = false;
        return answer.bytes;
    }
    Link& link(uint32_t index) const { return *answers_[index].link; }
    // The link ends.
    void drop(const Link& link) {
        for (uint32_t i = 0; i < count(); ++i)
            if (answers_[i].link == &link) take(i);
    }
    void clear() {
        count_.store(0, std::memory_order_release);
        used_ = 0;
    }

    // For the crash handler: visit(fd, bytes, exchange) of each answer that is nobody else's.
    template <class Visit>
    void take_all(Visit visit) {
        for (uint32_t i = 0; i < std::min(count(), kAnswersMax); ++i) {
            int fd = answers_[i].fd.exchange(-1);
            if (fd >= 0) visit(fd, answers_[i].bytes, *answers_[i].exchange);
        }
    }

  private:
    struct Answer {
        Link* link = nullptr;
        session::Exchange* exchange = nullptr;
        std::string_view bytes;
        std::atomic<int> fd{-1};
    };

    std::array<Answer, kAnswersMax> answers_;
    std::atomic<uint32_t> count_{0};
    std::unique_ptr<char[]> bytes_{new char[kBytesMax]};  // touched as far as it is used
    size_t used_ = 0;
};

}  // namespace mono::engine
