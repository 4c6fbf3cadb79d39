#include "websocket/sha1.hpp"

#include <gtest/gtest.h>

#include <string>

namespace mono::websocket {
namespace {

std::string hex(std::string_view text) {
    std::string out;
    for (const uint8_t byte : sha1(text)) {
        char two[3];
        std::snprintf(two, sizeof(two), "%02x", byte);
        out += two;
    }
    return out;
}

std::string repeat(std::string_view text, int count) {
    std::string out;
    for (int done = 0; done < count; ++done) out += text;
    return out;
}

// RFC 3174 section 7.3.
TEST(Sha1, TestVectorsOfTheStandard) {
    EXPECT_EQ(hex("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
    EXPECT_EQ(hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
              "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    EXPECT_EQ(hex(repeat("a", 1'000'000)), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
    EXPECT_EQ(hex(repeat("0123456701234567012345670123456701234567012345670123456701234567", 10)),
              "dea356a2cddd90c7a7ecedc5ebb563934f460452");
}

// The lengths around the padding's edges; the sums are those of sha1sum(1).
TEST(Sha1, EdgesOfABlock) {
    EXPECT_EQ(hex(""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    EXPECT_EQ(hex(repeat("a", 55)), "c1c8bbdc22796e28c0e15163d20899b65621d65a");
    EXPECT_EQ(hex(repeat("a", 56)), "c2db330f6083854c99d4b5bfb6e8f29f201be699");
    EXPECT_EQ(hex(repeat("a", 63)), "03f09f5b158a7a8cdad920bddc29b81c18a551f5");
    EXPECT_EQ(hex(repeat("a", 64)), "0098ba824b5c16427bd7a1122a5a442a25ec644d");
}

}  // namespace
}  // namespace mono::websocket
