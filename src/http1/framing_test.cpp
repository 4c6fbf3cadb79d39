// The rules are covered by tests/vectors (h1/framing, connection, expect_upgrade; h1_invalid);
// here is what a vector cannot show.
#include "http1/framing.hpp"

#include <gtest/gtest.h>

#include <string>

#include "http/decimal.hpp"

namespace mono::http1 {
namespace {

http::FramingError run(std::string text, http::RequestHead& head) {
    const HeadRules rules;
    HeadParser parser(rules);
    const auto size = static_cast<uint32_t>(text.size());
    EXPECT_EQ(parser.parse(text.data(), size, head), ParseStatus::kComplete);
    return apply_framing(text.data(), head);
}

TEST(ApplyFraming, LeavesNothingOfTheRequestBefore) {
    http::RequestHead head;
    ASSERT_EQ(run("POST / HTTP/1.1\r\nContent-Length: 7\r\nExpect: 100-continue\r\n"
                  "Connection: upgrade\r\nUpgrade: x\r\n\r\n",
                  head)
                  .error,
              http::Error::kNone);
    EXPECT_EQ(head.body, http::BodyKind::kLength);
    EXPECT_EQ(head.content_length, 7U);
    EXPECT_TRUE(head.keep_alive && head.expect_continue && head.upgrade);
    ASSERT_EQ(run("GET / HTTP/1.0\r\n\r\n", head).error, http::Error::kNone);
    EXPECT_EQ(head.body, http::BodyKind::kNone);
    EXPECT_EQ(head.content_length, 0U);
    EXPECT_FALSE(head.keep_alive || head.expect_continue || head.upgrade);
}

TEST(ApplyFraming, NamesTheFirstOffender) {
    http::RequestHead head;
    const http::FramingError fault =
        run("GET / HTTP/1.1\r\nA: b\r\nHost: [\r\nContent-Length: x\r\n\r\n", head);
    EXPECT_EQ(fault.error, http::Error::kHostInvalid);
    EXPECT_EQ(fault.offset, 22U);
}

TEST(ApplyFraming, ALengthOfZeroIsNoBody) {
    http::RequestHead head;
    ASSERT_EQ(run("POST / HTTP/1.1\r\nContent-Length: 00\r\n\r\n", head).error, http::Error::kNone);
    EXPECT_EQ(head.body, http::BodyKind::kNone);
}

TEST(ParseDecimal, StopsAtSixtyFourBits) {
    uint64_t number = 1;
    EXPECT_TRUE(http::parse_decimal("18446744073709551615", number));
    EXPECT_EQ(number, UINT64_MAX);
    EXPECT_TRUE(http::parse_decimal("0018446744073709551614", number));
    EXPECT_EQ(number, UINT64_MAX - 1);
    for (const char* text : {"18446744073709551616", "18446744073709551620", "99999999999999999999",
                             "184467440737095516150", "", "-1", "+1", "1 ", " 1", "0x1", "1_0"})
        EXPECT_FALSE(http::parse_decimal(text, number)) << text;
}

}  // namespace
}  // namespace mono::http1
