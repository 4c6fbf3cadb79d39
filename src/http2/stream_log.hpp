// StreamLog: which of the last streams the peer has ended. nghttp2 forgets a stream when it is
// closed and takes what comes for it as late; RFC 9113 section 5.1 says that a peer that has sent
// END_STREAM or RST_STREAM has nothing left that could be late. Of streams long gone it knows
// nothing and forgives. Owner: one Session. Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace mono::http2 {

class StreamLog {
  public:
    enum class Verdict : uint8_t { kFine, kEnded, kNeverOpened };

    // HEADERS, which open a stream when its number is the highest so far.
    Verdict headers(uint32_t stream) {
        Entry& entry = at(stream);
        if (stream > last_) {
            last_ = stream;
            entry = {stream, false};
            return Verdict::kFine;
        }
        if (entry.stream < stream) return Verdict::kNeverOpened;
        return data(stream);
    }
    Verdict data(uint32_t stream) {
        const Entry& entry = at(stream);
        return entry.stream == stream && entry.ended ? Verdict::kEnded : Verdict::kFine;
    }
    // By END_STREAM or RST_STREAM of the peer.
    void ended(uint32_t stream) {
        Entry& entry = at(stream);
        if (entry.stream == stream) entry.ended = true;
    }

  private:
    static constexpr size_t kStreams = 64;
    struct Entry {
        uint32_t stream = 0;
        bool ended = false;
    };
    Entry& at(uint32_t stream) { return entries_[stream / 2 % kStreams]; }  // the odd ones

    std::array<Entry, kStreams> entries_ = {};
    uint32_t last_ = 0;
};

}  // namespace mono::http2
