#include "log/escape.hpp"

#include <gtest/gtest.h>

namespace mono::log {
namespace {

std::string plain(std::string_view text) {
    std::string out;
    append_plain(text, out);
    return out;
}

std::string json(std::string_view text) {
    std::string out;
    append_json(text, out);
    return out;
}

std::string logfmt(std::string_view text) {
    std::string out;
    append_logfmt(text, out);
    return out;
}

TEST(Escape, PlainLeavesPrintableAsciiAlone) {
    EXPECT_EQ(plain("GET /a?b=c HTTP/1.1 ~"), "GET /a?b=c HTTP/1.1 ~");
    EXPECT_EQ(plain(""), "");
}

TEST(Escape, PlainCannotBeBrokenOutOf) {
    EXPECT_EQ(plain("a\"b"), "a\\\"b");
    EXPECT_EQ(plain("a\\"), "a\\\\");
    EXPECT_EQ(plain("a\r\n127.0.0.1"), "a\\x0D\\x0A127.0.0.1");
    EXPECT_EQ(plain("\x1b[2J\x7f\x80\xff"), "\\x1B[2J\\x7F\\x80\\xFF");
    EXPECT_EQ(plain(std::string_view("\0x", 2)), "\\x00x");
}

TEST(Escape, EveryByteComesOutPrintable) {
    for (int byte = 0; byte < 256; ++byte) {
        const char text = static_cast<char>(byte);
        for (char out : plain({&text, 1}) + json({&text, 1}) + logfmt({&text, 1})) {
            EXPECT_GE(out, 0x20) << byte;
            EXPECT_LT(static_cast<unsigned char>(out), 0x7F) << byte;
        }
    }
}

TEST(Escape, JsonQuotesAndKeepsValidUtf8) {
    EXPECT_EQ(json("a\"\\/b"), "\"a\\\"\\\\/b\"");
    EXPECT_EQ(json("line\nfeed"), "\"line\\u000Afeed\"");
    EXPECT_EQ(json("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\xa6\x84"),
              "\"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\xa6\x84\"");
}

TEST(Escape, JsonTakesInvalidUtf8AsLatin1) {
    EXPECT_EQ(json("caf\xe9"), "\"caf\\u00E9\"");
    EXPECT_EQ(json("\xc0\xaf"), "\"\\u00C0\\u00AF\"");             // overlong
    EXPECT_EQ(json("\xed\xa0\x80"), "\"\\u00ED\\u00A0\\u0080\"");  // surrogate
    EXPECT_EQ(json("\xf4\x90\x80\x80"), "\"\\u00F4\\u0090\\u0080\\u0080\"");
    EXPECT_EQ(json("\xe2\x82"), "\"\\u00E2\\u0082\"");  // cut short
}

TEST(Escape, JsonEscapesWhatShapesTheLine) {
    EXPECT_EQ(json("\xc2\x9b"
                   "2J"),
              "\"\\u009B2J\"");  // CSI
    EXPECT_EQ(json("\xc2\x80\xc2\x85\xc2\x9f\xc2\xa0"), "\"\\u0080\\u0085\\u009F\xc2\xa0\"");
    EXPECT_EQ(json("\xe2\x80\xa8\xe2\x80\xa9"), "\"\\u2028\\u2029\"");
    EXPECT_EQ(json("\xe2\x80\xae\xe2\x81\xa6"), "\"\\u202E\\u2066\"");
    EXPECT_EQ(json("\xe2\x80\xa7\xe2\x80\xaf\x7f"), "\"\xe2\x80\xa7\xe2\x80\xaf\\u007F\"");
}

TEST(Escape, Utf8SequenceLengths) {
    EXPECT_EQ(utf8_sequence_length("a"), 1U);
    EXPECT_EQ(utf8_sequence_length("\xc2\x80"), 2U);
    EXPECT_EQ(utf8_sequence_length("\xef\xbf\xbf"), 3U);
    EXPECT_EQ(utf8_sequence_length("\xf4\x8f\xbf\xbf"), 4U);
    EXPECT_EQ(utf8_sequence_length("\xe0\x9f\xbf"), 0U);
    EXPECT_EQ(utf8_sequence_length("\xf0\x8f\xbf\xbf"), 0U);
    EXPECT_EQ(utf8_sequence_length("\x80"), 0U);
    EXPECT_EQ(utf8_sequence_length(""), 0U);
}

TEST(Escape, LogfmtQuotesOnlyWhatNeedsIt) {
    EXPECT_EQ(logfmt("GET"), "GET");
    EXPECT_EQ(logfmt("/a/b?c"), "/a/b?c");
    EXPECT_EQ(logfmt("/a?b=c"), "\"/a?b=c\"");
    EXPECT_EQ(logfmt("two words"), "\"two words\"");
    EXPECT_EQ(logfmt(""), "\"\"");
    EXPECT_EQ(logfmt("say \"hi\"\n"), "\"say \\\"hi\\\"\\x0A\"");
}

}  // namespace
}  // namespace mono::log
