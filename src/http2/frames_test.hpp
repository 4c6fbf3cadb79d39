// Frames by hand, for what no client library would send.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mono::http2 {

constexpr uint8_t kData = 0x0;
constexpr uint8_t kHeaders = 0x1;
constexpr uint8_t kPriority = 0x2;
constexpr uint8_t kRstStream = 0x3;
constexpr uint8_t kSettings = 0x4;
constexpr uint8_t kPing = 0x6;
constexpr uint8_t kGoaway = 0x7;
constexpr uint8_t kWindowUpdate = 0x8;
constexpr uint8_t kContinuation = 0x9;
constexpr uint8_t kPriorityUpdate = 0x10;
constexpr size_t kFrameHead = 9;

inline std::string big_endian(uint64_t value, int bytes) {
    std::string text;
    for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8)
        text += static_cast<char>(value >> shift & 0xFF);
    return text;
}

inline std::string frame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload) {
    return big_endian(payload.size(), 3) + static_cast<char>(type) + static_cast<char>(flags) +
           big_endian(stream, 4) + std::string(payload);
}

// A field as a literal without indexing (RFC 7541 section 6.2.2); both are short.
inline std::string literal(std::string_view name, std::string_view value) {
    std::string text(1, '\0');
    text.append(1, static_cast<char>(name.size())).append(name);
    text.append(1, static_cast<char>(value.size())).append(value);
    return text;
}

// GET / of http://a, without HPACK state.
inline std::string get_block() {
    return literal(":method", "GET") + literal(":scheme", "http") + literal(":path", "/") +
           literal(":authority", "a");
}

}  // namespace mono::http2
