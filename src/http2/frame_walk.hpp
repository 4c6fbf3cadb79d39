// FrameWalk: follows the heads of the frames that a client sends, ahead of nghttp2, for what
// nghttp2 does not count or lets pass: floods (Guard), frames for streams that the peer had ended
// (StreamLog), and a PRIORITY frame by which a stream depends on itself (RFC 7540 section 5.3.1).
// It knows what was sent, not what became of it. Owner: one Session. Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "http2/fault.hpp"
#include "http2/guard.hpp"
#include "http2/stream_log.hpp"

namespace mono::http2 {

class FrameWalk {
  public:
    explicit FrameWalk(Guard& guard) : guard_(&guard) {}

    // How many of `bytes` come before a fault; all of them when there is none. After a fault it
    // is not called again.
    size_t walk(std::string_view bytes);
    Fault fault() const { return fault_; }

    // Stream 1 was a whole request of HTTP/1.
    void upgraded() {
        log_.headers(1);
        log_.ended(1);
    }

  private:
    static constexpr size_t kHeadBytes = 9;
    static constexpr uint32_t kDependencyBytes = 4;
    static constexpr uint32_t kPrefaceBytes = 24;

    struct Head {
        uint32_t length;
        uint32_t stream;
        uint8_t type;
        uint8_t flags;
    };

    Fault judge(const Head& head);
    Fault judge_flood(const Head& head);
    Fault judge_stream(const Head& head);
    Head head() const;
    uint32_t number(size_t from, size_t size) const;

    Guard* guard_;
    StreamLog log_;
    std::array<uint8_t, kHeadBytes + kDependencyBytes> held_ = {};
    size_t held_bytes_ = 0;
    size_t wanted_bytes_ = kHeadBytes;
    uint32_t skip_ = kPrefaceBytes;  // of a payload
    Fault fault_ = Fault::kNone;
};

}  // namespace mono::http2
