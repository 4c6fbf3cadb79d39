// What the vectors (tests/vectors/h1, h1_invalid) cannot say: state, reuse, slices, flags.
#include "http1/head_parser.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace mono::http1 {
namespace {

ParseStatus parse(HeadParser& parser, std::string& text, http::RequestHead& head) {
    return parser.parse(text.data(), static_cast<uint32_t>(text.size()), head);
}

TEST(HeadParser, FillsTheHead) {
    const HeadRules rules;
    HeadParser parser(rules);
    http::RequestHead head;
    std::string text = "\r\nHEAD /p%20q?x=1 HTTP/1.0\r\nHost: a\r\nX_Y:  \xe9 \r\n\r\nrest";
    ASSERT_EQ(parse(parser, text, head), ParseStatus::kComplete);
    EXPECT_EQ(head.method.in(text.data()), "HEAD");
    EXPECT_TRUE(head.head_method);
    EXPECT_EQ(head.target.in(text.data()), "/p%20q?x=1");
    EXPECT_EQ(head.path.in(text.data()), "/p%20q");
    EXPECT_FALSE(head.path_plain);
    EXPECT_EQ(head.query.in(text.data()), "x=1");
    EXPECT_EQ(head.version_major, 1);
    EXPECT_EQ(head.version_minor, 0);
    EXPECT_FALSE(head.at_least_1_1());
    EXPECT_EQ(head.length, text.size() - 4);
    ASSERT_EQ(head.fields.size(), 2U);
    EXPECT_EQ(head.fields[0].known, http::KnownField::kHost);
    EXPECT_TRUE(head.fields[0].ascii);
    EXPECT_FALSE(head.fields[0].underscore);
    EXPECT_EQ(head.fields[1].known, http::KnownField::kOther);
    EXPECT_EQ(head.fields[1].value.in(text.data()), "\xe9");
    EXPECT_FALSE(head.fields[1].ascii);
    EXPECT_TRUE(head.fields[1].underscore);
}

TEST(HeadParser, AReusedHeadForgetsAndKeepsItsCapacity) {
    const HeadRules rules;
    HeadParser parser(rules);
    http::RequestHead head;
    std::string first = "HEAD /a%b HTTP/1.0\r\nA: b\r\nC: d\r\n\r\n";
    ASSERT_EQ(parse(parser, first, head), ParseStatus::kComplete);
    head.keep_alive = head.upgrade = true;
    const size_t capacity = head.fields.capacity();
    parser.reset();
    std::string second = "GET / HTTP/1.1\r\n\r\n";
    ASSERT_EQ(parse(parser, second, head), ParseStatus::kComplete);
    EXPECT_FALSE(head.head_method);
    EXPECT_TRUE(head.path_plain);
    EXPECT_TRUE(head.fields.empty());
    EXPECT_FALSE(head.keep_alive);
    EXPECT_FALSE(head.upgrade);
    EXPECT_EQ(head.fields.capacity(), capacity);
}

TEST(HeadParser, StaysFailedUntilReset) {
    const HeadRules rules;
    HeadParser parser(rules);
    http::RequestHead head;
    std::string bad = "GET /\x01 HTTP/1.1\r\n";
    std::string good = "GET / HTTP/1.1\r\n\r\n";
    ASSERT_EQ(parse(parser, bad, head), ParseStatus::kFailed);
    EXPECT_EQ(parse(parser, good, head), ParseStatus::kFailed);
    EXPECT_EQ(parser.error(), http::Error::kTargetInvalid);
    EXPECT_EQ(parser.error_offset(), 5U);
    parser.reset();
    EXPECT_EQ(parser.error(), http::Error::kNone);
    EXPECT_EQ(parse(parser, good, head), ParseStatus::kComplete);
    EXPECT_EQ(parse(parser, good, head), ParseStatus::kComplete);  // says so again
}

TEST(HeadParser, StartedMeansAByteOfTheRequestLine) {
    const HeadRules rules;
    HeadParser parser(rules);
    http::RequestHead head;
    std::string text;
    EXPECT_FALSE(parser.started());
    for (const std::string_view piece : {"", "\r", "\n"}) {
        text += piece;
        ASSERT_EQ(parse(parser, text, head), ParseStatus::kNeedMore);
        EXPECT_FALSE(parser.started());
    }
    text += "G";
    ASSERT_EQ(parse(parser, text, head), ParseStatus::kNeedMore);
    EXPECT_TRUE(parser.started());
    text += "ET / HTTP/1.1\r\n";
    ASSERT_EQ(parse(parser, text, head), ParseStatus::kNeedMore);
    EXPECT_TRUE(parser.started());
    parser.reset();
    EXPECT_FALSE(parser.started());
}

// Slices are offsets: the buffer may move between calls.
TEST(HeadParser, TheBufferMayMove) {
    const HeadRules rules;
    HeadParser parser(rules);
    http::RequestHead head;
    const std::string text = "GET /path HTTP/1.1\r\nHost: example.com\r\nA: b\r\n\r\n";
    std::unique_ptr<char[]> buffer;
    for (size_t size = 1; size <= text.size(); ++size) {
        auto moved = std::make_unique<char[]>(size);
        text.copy(moved.get(), size);
        buffer = std::move(moved);
        const ParseStatus status = parser.parse(buffer.get(), static_cast<uint32_t>(size), head);
        ASSERT_EQ(status, size < text.size() ? ParseStatus::kNeedMore : ParseStatus::kComplete);
    }
    EXPECT_EQ(head.path.in(buffer.get()), "/path");
    EXPECT_EQ(head.fields.at(0).value.in(buffer.get()), "example.com");
    EXPECT_EQ(head.fields.at(1).name.in(buffer.get()), "A");
}

TEST(HeadParser, CasefoldChangesTheBuffer) {
    HeadRules rules;
    rules.permit_unconventional_http_method = rules.casefold_http_method = true;
    HeadParser parser(rules);
    http::RequestHead head;
    std::string text = "head /a HTTP/1.1\r\n\r\n";
    ASSERT_EQ(parse(parser, text, head), ParseStatus::kComplete);
    EXPECT_TRUE(text.starts_with("HEAD /a "));
    EXPECT_TRUE(head.head_method);
}

// An attacker chooses when bytes arrive: a long head must not be searched again for each.
TEST(HeadParser, IsLinear) {
    HeadRules rules;
    rules.line_bytes_max = 0;
    rules.head_bytes_max = 1U << 26;
    HeadParser parser(rules);
    http::RequestHead head;
    std::string text = "GET /" + std::string(1U << 24, 'a');
    // 200,000 calls over 16 MiB: quadratic work would be 3 * 10^12 bytes, hours of it.
    uint32_t size = static_cast<uint32_t>(text.size()) - 200'000;
    for (; size <= text.size(); ++size)
        ASSERT_EQ(parser.parse(text.data(), size, head), ParseStatus::kNeedMore);
}

}  // namespace
}  // namespace mono::http1
