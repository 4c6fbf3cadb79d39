#include "websocket/utf8.hpp"

#include <gtest/gtest.h>

#include <string>

namespace mono::websocket {
namespace {

// By the definition: decode, and compare with the shortest encoding of what was decoded.
bool is_utf8_plainly(std::string_view text) {
    for (size_t at = 0; at < text.size();) {
        const auto byte = [&](size_t more) { return static_cast<uint8_t>(text[at + more]); };
        const uint8_t lead = byte(0);
        const size_t size = lead < 0x80   ? 1
                            : lead < 0xC0 ? 0
                            : lead < 0xE0 ? 2
                            : lead < 0xF0 ? 3
                            : lead < 0xF8 ? 4
                                          : 0;
        if (size == 0 || text.size() - at < size) return false;
        uint32_t code = size == 1 ? lead : lead & (0x7FU >> size);
        for (size_t more = 1; more < size; ++more) {
            if ((byte(more) & 0xC0) != 0x80) return false;
            code = code << 6 | (byte(more) & 0x3FU);
        }
        constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
        if (code < kSmallest[size] || code > 0x10FFFF) return false;
        if (code >= 0xD800 && code <= 0xDFFF) return false;
        at += size;
    }
    return true;
}

TEST(Utf8Check, AllTextsOfThreeBytes) {
    for (uint32_t number = 0; number < 1U << 24; ++number) {
        const char text[] = {static_cast<char>(number >> 16), static_cast<char>(number >> 8),
                             static_cast<char>(number)};
        const std::string_view view(text, 3);
        ASSERT_EQ(is_utf8(view), is_utf8_plainly(view)) << std::hex << number;
    }
}

TEST(Utf8Check, TextsOfFourBytes) {
    for (uint32_t lead = 0xEC; lead <= 0xFF; ++lead)
        for (uint32_t second = 0; second <= 0xFF; ++second)
            for (const uint32_t third : {0x00U, 0x7FU, 0x80U, 0xBFU, 0xC0U, 0xFFU})
                for (const uint32_t fourth : {0x00U, 0x7FU, 0x80U, 0xBFU, 0xC0U, 0xFFU}) {
                    const char text[] = {static_cast<char>(lead), static_cast<char>(second),
                                         static_cast<char>(third), static_cast<char>(fourth)};
                    const std::string_view view(text, 4);
                    ASSERT_EQ(is_utf8(view), is_utf8_plainly(view))
                        << std::hex << lead << " " << second << " " << third << " " << fourth;
                }
}

TEST(Utf8Check, EveryPlaceInALongText) {
    for (size_t size = 0; size < 70; ++size) {
        for (size_t at = 0; at < size; ++at) {
            std::string text(size, 'a');
            text[at] = '\x80';
            EXPECT_FALSE(is_utf8(text)) << at << " of " << size;
        }
        for (size_t at = 0; at + 1 < size; ++at) {
            std::string text(size, 'a');
            text.replace(at, 2, "\xC3\xA4");
            EXPECT_TRUE(is_utf8(text)) << at << " of " << size;
        }
    }
}

TEST(Utf8Check, PiecesAndTheEnd) {
    const std::string_view euro = "\xE2\x82\xAC";
    Utf8Check check;
    EXPECT_TRUE(check.feed(euro.substr(0, 1)));
    EXPECT_FALSE(check.complete());
    EXPECT_TRUE(check.feed(""));
    EXPECT_TRUE(check.feed(euro.substr(1, 1)));
    EXPECT_FALSE(check.complete());
    EXPECT_TRUE(check.feed(euro.substr(2)));
    EXPECT_TRUE(check.complete());
    EXPECT_TRUE(check.feed("\xF4"));
    EXPECT_FALSE(check.feed("\x90"));  // above U+10FFFF: known before the character ends
    check.reset();
    EXPECT_TRUE(check.feed("a"));
    EXPECT_TRUE(check.complete());
}

}  // namespace
}  // namespace mono::websocket
