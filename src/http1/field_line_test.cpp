// The grammar is covered by tests/vectors (h1/fields, h1_invalid/fields, chunked/trailers); here:
// exact blocks, so that AddressSanitizer sees both ends, and which fault is reported first.
#include "http1/field_line.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <string_view>

namespace mono::http1 {
namespace {

struct Parsed {
    std::unique_ptr<char[]> block;
    http::Field field;
    http::Error error = http::Error::kNone;
    ptrdiff_t at = -1;  // of the fault

    std::string_view name() const { return field.name.in(block.get()); }
    std::string_view value() const { return field.value.in(block.get()); }
};

Parsed parse(std::string_view text, bool strip_spaces = false) {
    Parsed parsed;
    parsed.block = std::make_unique<char[]>(text.size());
    text.copy(parsed.block.get(), text.size());
    const char* begin = parsed.block.get();
    const LineFault fault =
        parse_field_line({begin, begin, begin + text.size(), strip_spaces}, parsed.field);
    parsed.error = fault.error;
    if (fault.error != http::Error::kNone) parsed.at = fault.at - begin;
    return parsed;
}

TEST(ParseFieldLine, SplitsAndTrims) {
    const Parsed parsed = parse("Accept: \t text/html; q=1 \t");
    EXPECT_EQ(parsed.error, http::Error::kNone);
    EXPECT_EQ(parsed.name(), "Accept");
    EXPECT_EQ(parsed.value(), "text/html; q=1");
    EXPECT_EQ(parsed.field.known, http::KnownField::kAccept);
    EXPECT_TRUE(parsed.field.ascii);
    EXPECT_EQ(parse("A:").value(), "");
    EXPECT_FALSE(parse("A: \x80").field.ascii);
    EXPECT_TRUE(parse("A_B: c").field.underscore);
}

TEST(ParseFieldLine, NamesFaultAndPlace) {
    EXPECT_EQ(parse("abc").error, http::Error::kFieldColonMissing);
    EXPECT_EQ(parse(": x").error, http::Error::kFieldNameInvalid);
    EXPECT_EQ(parse("A : x").error, http::Error::kFieldNameInvalid);
    EXPECT_EQ(parse("A: xy\x01").error, http::Error::kFieldValueInvalid);
    EXPECT_EQ(parse("A: xy\x01").at, 5);
    EXPECT_EQ(parse("A(: \x01x\ry").error, http::Error::kBareCr);  // before both other faults
    EXPECT_EQ(parse("A(: \x01x\ry").at, 6);
}

TEST(ParseFieldLine, StripsBlanksBeforeTheColonOnlyWhenAsked) {
    const Parsed parsed = parse("Host \t: a", true);
    EXPECT_EQ(parsed.error, http::Error::kNone);
    EXPECT_EQ(parsed.name(), "Host");
    EXPECT_EQ(parsed.field.known, http::KnownField::kHost);
    EXPECT_EQ(parse(" \t: a", true).error, http::Error::kFieldNameInvalid);
    EXPECT_EQ(parse(" Host: a", true).error, http::Error::kFieldNameInvalid);
}

}  // namespace
}  // namespace mono::http1
