// split_target is covered by tests/vectors/h1/targets.md and h1_invalid/targets.md.
#include "http/target.hpp"

#include <gtest/gtest.h>

#include <string>

namespace mono::http {
namespace {

std::string decode(std::string_view encoded) {
    std::string out(encoded.size(), '?');
    out.resize(percent_decode(encoded, out.data()));
    return out;
}

TEST(PercentDecode, Decodes) {
    EXPECT_EQ(decode(""), "");
    EXPECT_EQ(decode("/plain"), "/plain");
    EXPECT_EQ(decode("%41%62%2f%2F"), "Ab//");
    EXPECT_EQ(decode("a%20b%"), "a b%");
    EXPECT_EQ(decode("%00%ff%7F"), std::string("\0\xff\x7f", 3));
    EXPECT_EQ(decode("%2541"), "%41");  // once only
    EXPECT_EQ(decode("a+b"), "a+b");
}

TEST(PercentDecode, LeavesWhatIsNoTripletAlone) {
    for (const char* text : {"%", "%4", "%zz", "%4g", "%g4", "a%", "%%", "% 41", "%+1"})
        EXPECT_EQ(decode(text), text);
    EXPECT_EQ(decode("%%41"), "%A");
    EXPECT_EQ(decode("%4%41"), "%4A");
}

TEST(PercentDecode, WorksInPlace) {
    std::string text = "/%41/b%42%43/%zz/tail";
    text.resize(percent_decode(text, text.data()));
    EXPECT_EQ(text, "/A/bBC/%zz/tail");
}

TEST(PercentDecode, EveryTriplet) {
    constexpr std::string_view digits = "0123456789abcdefABCDEF";
    for (const char high : digits) {
        for (const char low : digits) {
            const std::string text = {'%', high, low};
            const std::string decoded = decode(text);
            ASSERT_EQ(decoded.size(), 1U);
            EXPECT_EQ(static_cast<uint8_t>(decoded[0]), std::stoi(text.substr(1), nullptr, 16));
        }
    }
}

// More cases: tests/vectors/h1/host.md and h1_invalid/host.md.
TEST(IsValidHost, BytesOfANameAreThoseOfRfc3986) {
    const std::string_view allowed = "-._~!$&'()*+,;=";
    for (int number = 0; number < 256; ++number) {
        const char byte = static_cast<char>(number);
        const bool alphanumeric = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
                                  (byte >= 'A' && byte <= 'Z');
        const bool expected = alphanumeric || allowed.find(byte) != std::string_view::npos;
        EXPECT_EQ(is_valid_host(std::string("a") + byte + "b"), expected) << number;
    }
}

TEST(IsValidHost, Edges) {
    EXPECT_TRUE(is_valid_host(""));
    EXPECT_TRUE(is_valid_host(":80"));
    EXPECT_TRUE(is_valid_host("[::]"));
    EXPECT_TRUE(is_valid_host("[1:2:3:4:5:6:255.255.255.255]"));
    EXPECT_FALSE(is_valid_host("["));
    EXPECT_FALSE(is_valid_host("[]"));
    EXPECT_FALSE(is_valid_host(std::string("[::1\0]", 6)));
    EXPECT_FALSE(is_valid_host("[" + std::string(200, '1') + "]"));
    EXPECT_FALSE(is_valid_host("a:99999999999999999999"));
}

}  // namespace
}  // namespace mono::http
