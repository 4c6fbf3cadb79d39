// 1*DIGIT within 64 bits, as Content-Length has it (RFC 9110 section 8.6). Private to http.
#pragma once

#include <cstdint>
#include <limits>
#include <string_view>

namespace mono::http {

// False for an empty text, any other byte, and numbers beyond 64 bits. Leading zeros are read.
inline bool parse_decimal(std::string_view text, uint64_t& number) {
    constexpr uint64_t kMax = std::numeric_limits<uint64_t>::max();
    uint64_t value = 0;
    for (const char byte : text) {
        if (byte < '0' || byte > '9') return false;
        const auto digit = static_cast<uint64_t>(byte - '0');
        if (value > (kMax - digit) / 10) return false;
        value = value * 10 + digit;
    }
    number = value;
    return !text.empty();
}

}  // namespace mono::http
