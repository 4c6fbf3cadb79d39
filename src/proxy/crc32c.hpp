// CRC-32C (Castagnoli), RFC 3720 appendix B.4: PP2_TYPE_CRC32C. Bit by bit: it runs over some
// hundred bytes once a connection, and only where a proxy sends it. Pure.
#pragma once

#include <cstdint>
#include <string_view>

namespace mono::proxy {

constexpr uint32_t kCrc32cBegin = 0xFFFFFFFFU;

constexpr uint32_t crc32c_step(uint32_t state, std::string_view bytes) {
    for (const char byte : bytes) {
        state ^= static_cast<uint8_t>(byte);
        for (int bit = 0; bit < 8; ++bit)
            state = (state >> 1) ^ ((state & 1U) != 0 ? 0x82F63B78U : 0U);
    }
    return state;
}

constexpr uint32_t crc32c_end(uint32_t state) { return ~state; }

static_assert(crc32c_end(crc32c_step(kCrc32cBegin, "123456789")) == 0xE3069283U);

}  // namespace mono::proxy
