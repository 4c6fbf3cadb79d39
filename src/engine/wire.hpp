// Wire: one transmission of an answer, from the application's piece to the bytes that are sent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mono::engine {

constexpr uint16_t kSwitchingProtocols = 101;  // RFC 9110 section 15.2.2

// Bytes of a response body. With an owner they may be referenced after write() returned.
struct Piece {
    std::string_view bytes;
    void* owner = nullptr;
};

enum class WriteStatus : uint8_t {
    kDone,  // `bytes` were copied or sent: the owner is still the caller's
    kKept,  // the owner now belongs to the engine; it comes back through take_released()
    kGone,  // the client has gone; the owner is still the caller's
    kOver,  // the request has ended before; so it is
};

// `lead` (head and chunk prefix, and a small body with its suffix) lies in a buffer of Answers or
// in the outbox; a large body is referenced between lead and suffix.
struct Wire {
    std::string_view lead;
    std::string_view body;
    std::string_view suffix;
    bool whole = false;  // nothing of the response comes behind it
    bool boxed = false;  // lead is all of it, and lies in the outbox
    size_t size() const { return lead.size() + body.size() + suffix.size(); }
};

}  // namespace mono::engine
