// Response: from what the application gives (status, fields, pieces of body) to bytes for the
// wire: framing (RFC 9112 section 6), truncation to Content-Length, persistence (section 9.3).
// Pure. One response at a time, reused; guarded like its exchange.
#pragma once

#include <cstdint>
#include <string_view>

#include "http/message.hpp"
#include "http/response_head.hpp"
#include "http1/chunked.hpp"

namespace mono::session {

// What the server adds to a head; views outlive the call.
struct ResponseContext {
    std::string_view server;
    std::string_view date;
    bool may_persist = true;  // false: the server wants this connection to end
};

class Response {
  public:
    http::ResponseHead head;

    void clear();

    // Fixes the framing; call once, when head is set and before the first piece.
    // `known_length`: the whole body's length where the caller knows it, else -1.
    void begin(const http::RequestHead& request, const ResponseContext& context,
               int64_t known_length);
    bool begun() const { return begun_; }
    size_t head_size_max(const ResponseContext& context) const;
    size_t write_head(const ResponseContext& context, char* out) const;

    // One piece of body on its way to the wire: prefix + body + suffix.
    struct Frame {
        char prefix[http1::kChunkPrefixMax];
        uint8_t prefix_length = 0;
        uint64_t body_length = 0;  // of the piece, after truncation
        std::string_view suffix;   // static
    };
    // `piece_length` may be 0. `last` ends the body: what is given behind it is dropped.
    Frame frame(uint64_t piece_length, bool last);

    // Valid after begin(): what the connection does when the response is complete.
    bool keep_alive() const { return keep_alive_; }
    bool no_body() const { return no_body_; }
    bool close_delimited() const { return framing_ == Framing::kClose; }
    // No byte of body can follow, whatever the application still yields.
    bool exhausted() const {
        return begun_ && (no_body_ || (framing_ == Framing::kLength && left_ == 0));
    }
    // Bytes of Content-Length that the application still owes.
    uint64_t owed() const { return framing_ == Framing::kLength && !no_body_ ? left_ : 0; }
    // The client can tell that the body is whole: nothing is owed, the last chunk was made.
    bool complete() const {
        return owed() == 0 &&
               ((framing_ != Framing::kChunked && framing_ != Framing::kStream) || ended_);
    }
    // All that the client was promised has been framed, whatever the application still does.
    bool whole() const { return exhausted() || (begun_ && ended_ && owed() == 0); }
    // The application gave bytes that had to be dropped: no body allowed, beyond the length, or
    // behind the end.
    bool dropped() const { return dropped_; }
    bool has_length() const { return framing_ == Framing::kLength; }
    uint64_t body_bytes() const { return body_bytes_; }
    void forbid_keep_alive() { keep_alive_ = false; }
    // The application speaks to the client by itself: nothing more is made here, whatever it gives,
    // and the connection ends with its request.
    void give_away();
    bool given_away() const { return given_away_; }

  private:
    enum class Framing : uint8_t { kNone, kLength, kChunked, kClose, kStream };

    http::ResponseHead::Context head_context(const ResponseContext& context) const;

    uint64_t left_ = 0;
    uint64_t body_bytes_ = 0;
    uint64_t added_length_ = 0;
    uint8_t version_minor_ = 1;
    Framing framing_ = Framing::kNone;
    bool begun_ = false;
    bool keep_alive_ = false;
    bool no_body_ = false;
    bool add_length_ = false;
    bool dropped_ = false;
    bool ended_ = false;  // frame() was told so
    bool given_away_ = false;
};

}  // namespace mono::session
