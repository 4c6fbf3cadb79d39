#include "websocket/sha1.hpp"

#include <bit>
#include <cstddef>
#include <cstring>

namespace mono::websocket {
namespace {

constexpr size_t kBlockBytes = 64;
using State = std::array<uint32_t, 5>;

uint32_t mix(int round, uint32_t b, uint32_t c, uint32_t d) {
    if (round < 20) return ((b & c) | (~b & d)) + 0x5A827999U;
    if (round < 40) return (b ^ c ^ d) + 0x6ED9EBA1U;
    if (round < 60) return ((b & c) | (b & d) | (c & d)) + 0x8F1BBCDCU;
    return (b ^ c ^ d) + 0xCA62C1D6U;
}

void absorb(const uint8_t* block, State& state) {
    uint32_t words[80];
    for (int at = 0; at < 16; ++at) {
        const uint8_t* four = block + 4 * at;
        words[at] = uint32_t{four[0]} << 24 | uint32_t{four[1]} << 16 | uint32_t{four[2]} << 8 |
                    uint32_t{four[3]};
    }
    for (int at = 16; at < 80; ++at)
        words[at] = std::rotl(words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16], 1);
    State now = state;
    for (int round = 0; round < 80; ++round) {
        const uint32_t next =
            std::rotl(now[0], 5) + mix(round, now[1], now[2], now[3]) + now[4] + words[round];
        now = {next, now[0], std::rotl(now[1], 30), now[2], now[3]};
    }
    for (size_t at = 0; at < state.size(); ++at) state[at] += now[at];
}

}  // namespace

std::array<uint8_t, 20> sha1(std::string_view text) {
    State state = {0x67452301U, 0xEFCDAB89U, 0x98BADCFEU, 0x10325476U, 0xC3D2E1F0U};
    const uint64_t bits = uint64_t{text.size()} * 8;
    uint8_t block[kBlockBytes];
    for (; text.size() >= kBlockBytes; text.remove_prefix(kBlockBytes)) {
        std::memcpy(block, text.data(), kBlockBytes);
        absorb(block, state);
    }
    // A one bit, zeros, and the length in the last eight bytes of a block.
    std::memset(block, 0, kBlockBytes);
    if (!text.empty()) std::memcpy(block, text.data(), text.size());
    block[text.size()] = 0x80;
    if (text.size() >= kBlockBytes - 8) {
        absorb(block, state);
        std::memset(block, 0, kBlockBytes);
    }
    for (size_t at = 0; at < 8; ++at)
        block[kBlockBytes - 1 - at] = static_cast<uint8_t>(bits >> (8 * at));
    absorb(block, state);
    std::array<uint8_t, 20> digest;
    for (size_t at = 0; at < digest.size(); ++at)
        digest[at] = static_cast<uint8_t>(state[at / 4] >> (24 - 8 * (at % 4)));
    return digest;
}

}  // namespace mono::websocket
