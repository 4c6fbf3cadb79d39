#include "websocket/utf8.hpp"

#include <cstddef>
#include <cstring>

#include "http/scan.hpp"

namespace mono::websocket {
namespace {

// The first byte from 0x80 on, or a place before it from which bytes are looked at one by one.
const uint8_t* skip_ascii(const uint8_t* at, const uint8_t* end) {
#ifdef MONO_HTTP_SSE2
    for (; end - at >= 16; at += 16)
        if (http::scan::mask_of(http::scan::load(reinterpret_cast<const char*>(at))) != 0) break;
#endif
    for (; end - at >= 8; at += 8) {
        uint64_t eight;
        std::memcpy(&eight, at, sizeof(eight));
        if ((eight & 0x8080808080808080ULL) != 0) break;
    }
    while (at != end && *at < 0x80) ++at;
    return at;
}

}  // namespace

// RFC 3629 section 4, the table of well-formed sequences: what follows the lead byte is bounded
// more narrowly after E0, ED, F0 and F4.
bool Utf8Check::begin(uint8_t lead) {
    lowest_ = 0x80;
    highest_ = 0xBF;
    if (lead < 0xC2 || lead > 0xF4) return false;
    wanted_ = lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
    if (lead == 0xE0) lowest_ = 0xA0;
    if (lead == 0xED) highest_ = 0x9F;
    if (lead == 0xF0) lowest_ = 0x90;
    if (lead == 0xF4) highest_ = 0x8F;
    return true;
}

bool Utf8Check::feed(std::string_view piece) {
    const auto* at = reinterpret_cast<const uint8_t*>(piece.data());
    const uint8_t* end = at + piece.size();
    while (at != end) {
        if (wanted_ == 0) {
            if (*at < 0x80) at = skip_ascii(at, end);
            if (at == end) return true;
            if (!begin(*at++)) return false;
            continue;
        }
        if (*at < lowest_ || *at > highest_) return false;
        ++at;
        --wanted_;
        lowest_ = 0x80;
        highest_ = 0xBF;
    }
    return true;
}

}  // namespace mono::websocket
