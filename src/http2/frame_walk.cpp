#include "http2/frame_walk.hpp"

#include <algorithm>

namespace mono::http2 {
namespace {

constexpr uint8_t kData = 0x0;
constexpr uint8_t kHeaders = 0x1;
constexpr uint8_t kPriority = 0x2;
constexpr uint8_t kRstStream = 0x3;
constexpr uint8_t kSettings = 0x4;
constexpr uint8_t kPing = 0x6;
constexpr uint8_t kWindowUpdate = 0x8;
constexpr uint8_t kContinuation = 0x9;
constexpr uint8_t kPriorityUpdate = 0x10;
constexpr uint8_t kEndStream = 0x1;
constexpr uint8_t kEndHeaders = 0x4;
constexpr uint32_t kStreamBits = 0x7FFFFFFF;
constexpr uint32_t kPriorityBytes = 5;

}  // namespace

uint32_t FrameWalk::number(size_t from, size_t size) const {
    uint32_t value = 0;
    for (size_t at = from; at < from + size; ++at) value = value << 8 | held_[at];
    return value;
}

FrameWalk::Head FrameWalk::head() const {
    return {number(0, 3), number(5, 4) & kStreamBits, held_[3], held_[4]};
}

size_t FrameWalk::walk(std::string_view bytes) {
    size_t at = 0;
    while (at < bytes.size()) {
        if (skip_ != 0) {
            const size_t skipped = std::min<size_t>(skip_, bytes.size() - at);
            skip_ -= static_cast<uint32_t>(skipped);
            at += skipped;
            continue;
        }
        const size_t taken = std::min(wanted_bytes_ - held_bytes_, bytes.size() - at);
        std::copy_n(bytes.data() + at, taken, held_.data() + held_bytes_);
        held_bytes_ += taken;
        if (held_bytes_ < wanted_bytes_) return bytes.size();
        const Head head = this->head();
        const bool dependency = wanted_bytes_ > kHeadBytes;
        if (dependency && (number(kHeadBytes, kDependencyBytes) & kStreamBits) == head.stream)
            fault_ = Fault::kPriority;
        else if (!dependency)
            fault_ = judge(head);
        if (fault_ != Fault::kNone) return at;
        at += taken;
        if (!dependency && head.type == kPriority && head.length == kPriorityBytes) {
            wanted_bytes_ = kHeadBytes + kDependencyBytes;
            continue;
        }
        skip_ = dependency ? kPriorityBytes - kDependencyBytes : head.length;
        wanted_bytes_ = kHeadBytes;
        held_bytes_ = 0;
    }
    return at;
}

Fault FrameWalk::judge(const Head& head) {
    const Fault flood = judge_flood(head);
    if (flood != Fault::kNone && !guard_->permits(flood)) return flood;
    return judge_stream(head);
}

// What a frame counts as when there are many of its kind.
Fault FrameWalk::judge_flood(const Head& head) {
    const bool empty = head.length == 0;
    switch (head.type) {
        case kData:
            return empty && (head.flags & kEndStream) == 0 ? Fault::kEmptyFrameFlood : Fault::kNone;
        case kHeaders:
            guard_->begin_block();
            return empty && (head.flags & kEndHeaders) == 0 ? Fault::kEmptyFrameFlood
                                                            : Fault::kNone;
        case kPriority:
        case kPriorityUpdate:
            return Fault::kPriorityFlood;
        case kRstStream:
            return Fault::kResetFlood;
        case kSettings:
            return Fault::kSettingsFlood;
        case kPing:
            return Fault::kPingFlood;
        case kWindowUpdate:
            return Fault::kWindowUpdateFlood;
        case kContinuation:
            return Fault::kContinuationFlood;
        default:  // GOAWAY, and types that nobody here knows, which are ignored
            return Fault::kEmptyFrameFlood;
    }
}

Fault FrameWalk::judge_stream(const Head& head) {
    if (head.type == kPriority && head.stream == 0) return Fault::kPriority;
    if (head.stream % 2 == 0) return Fault::kNone;  // nghttp2's to refuse
    StreamLog::Verdict verdict = StreamLog::Verdict::kFine;
    if (head.type == kHeaders) verdict = log_.headers(head.stream);
    if (head.type == kData) verdict = log_.data(head.stream);
    switch (verdict) {
        case StreamLog::Verdict::kFine:
            break;
        case StreamLog::Verdict::kEnded:
            return Fault::kStreamEnded;
        case StreamLog::Verdict::kNeverOpened:
            return Fault::kStreamOrder;
    }
    const bool carries_end = head.type == kHeaders || head.type == kData;
    if (head.type == kRstStream || (carries_end && (head.flags & kEndStream) != 0))
        log_.ended(head.stream);
    return Fault::kNone;
}

}  // namespace mono::http2
