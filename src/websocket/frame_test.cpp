// The rules are covered by tests/vectors/ws; here are the steps, the key and the encoder.
#include "websocket/frame.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <string>

namespace mono::websocket {
namespace {

using Event = FrameParser::Event;

// RFC 6455 section 5.7: "Hello", masked.
constexpr std::string_view kHello = "\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58";

TEST(FrameParser, StepsThroughAFrame) {
    FrameParser parser(false);
    std::string input(kHello);
    FrameParser::Step step = parser.next(input.data(), input.size());
    EXPECT_EQ(step.event, Event::kFrame);
    EXPECT_EQ(step.consumed, 6U);
    EXPECT_EQ(parser.frame().opcode, Opcode::kText);
    EXPECT_EQ(parser.frame().length, 5U);
    EXPECT_TRUE(parser.frame().fin);
    EXPECT_FALSE(parser.frame().compressed);
    step = parser.next(input.data() + 6, 5);
    EXPECT_EQ(step.event, Event::kPayload);
    EXPECT_EQ(step.payload, "Hello");
    EXPECT_EQ(step.payload.data(), input.data() + 6);  // in place, no copy
    EXPECT_TRUE(step.last);
    EXPECT_EQ(parser.next(input.data(), 0).event, Event::kNeedMore);
}

TEST(FrameParser, PayloadInPieces) {
    FrameParser parser(false);
    std::string input(kHello);
    EXPECT_EQ(parser.next(input.data(), 3).event, Event::kNeedMore);
    EXPECT_EQ(parser.next(input.data() + 3, 4).consumed, 3U);
    std::string got;
    for (size_t at = 6; at < input.size(); ++at) {
        const FrameParser::Step step = parser.next(input.data() + at, 1);
        EXPECT_EQ(step.event, Event::kPayload);
        EXPECT_EQ(step.last, at + 1 == input.size());
        got += step.payload;
    }
    EXPECT_EQ(got, "Hello");
}

TEST(FrameParser, AnEmptyFrameHasOneEmptyPayload) {
    FrameParser parser(false);
    std::string input("\x89\x80KEYS", 6);
    EXPECT_EQ(parser.next(input.data(), 6).event, Event::kFrame);
    const FrameParser::Step step = parser.next(input.data() + 6, 0);
    EXPECT_EQ(step.event, Event::kPayload);
    EXPECT_TRUE(step.last);
    EXPECT_TRUE(step.payload.empty());
    EXPECT_EQ(parser.next(input.data() + 6, 0).event, Event::kNeedMore);
}

TEST(FrameParser, StaysFailed) {
    FrameParser parser(false);
    std::string input("\xC1\x80");
    EXPECT_EQ(parser.next(input.data(), 2).event, Event::kFailed);
    EXPECT_EQ(parser.fault(), Fault::kReservedBit);
    std::string good(kHello);
    EXPECT_EQ(parser.next(good.data(), good.size()).event, Event::kFailed);
    EXPECT_EQ(parser.fault(), Fault::kReservedBit);
}

TEST(FrameParser, LongLengths) {
    FrameParser parser(true);
    std::string input("\xC2\xFE\x01\x00KEYS", 8);
    EXPECT_EQ(parser.next(input.data(), input.size()).event, Event::kFrame);
    EXPECT_EQ(parser.frame().length, 256U);
    EXPECT_TRUE(parser.frame().compressed);
    FrameParser second(false);
    input.assign("\x02\xFF\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFFKEYS", 14);
    EXPECT_EQ(second.next(input.data(), input.size()).event, Event::kFrame);
    EXPECT_EQ(second.frame().length, UINT64_MAX >> 1);
    EXPECT_FALSE(second.frame().fin);
}

TEST(Unmask, EverySizePlaceAndSplit) {
    const char four[4] = {'\x01', '\x7F', '\xA5', '\xFF'};
    uint32_t key;
    std::memcpy(&key, four, sizeof(key));
    for (size_t size = 0; size < 80; ++size) {
        std::string plain;
        std::string masked;
        for (size_t at = 0; at < size; ++at) {
            plain += static_cast<char>(at * 37);
            masked += static_cast<char>(plain[at] ^ four[at % 4]);
        }
        for (size_t split = 0; split <= size; ++split) {
            std::string text = "##" + masked;  // not aligned
            const uint32_t rest = unmask(text.data() + 2, split, key);
            unmask(text.data() + 2 + split, size - split, rest);
            ASSERT_EQ(text, "##" + plain) << split << " of " << size;
        }
    }
}

TEST(WriteWsHead, TakesTheShortestForm) {
    const auto head = [](Opcode opcode, bool compressed, uint64_t length) {
        char out[kServerHeadMax];
        return std::string(out, write_head(opcode, compressed, length, out));
    };
    EXPECT_EQ(head(Opcode::kText, false, 5), "\x81\x05");
    EXPECT_EQ(head(Opcode::kBinary, true, 125), "\xC2\x7D");
    EXPECT_EQ(head(Opcode::kBinary, false, 126), std::string("\x82\x7E\x00\x7E", 4));
    EXPECT_EQ(head(Opcode::kBinary, false, 65535), "\x82\x7E\xFF\xFF");
    EXPECT_EQ(head(Opcode::kBinary, false, 65536),
              std::string("\x82\x7F\x00\x00\x00\x00\x00\x01\x00\x00", 10));
    EXPECT_EQ(head(Opcode::kClose, false, 0), std::string("\x88\x00", 2));
}

TEST(ParseWsClose, CodesAndReasons) {
    Close close;
    EXPECT_EQ(parse_close("", close), Fault::kNone);
    EXPECT_EQ(close.code, kNoCode);
    EXPECT_EQ(parse_close("\x03", close), Fault::kCloseMalformed);
    EXPECT_EQ(parse_close("\x03\xE9"
                          "bye",
                          close),
              Fault::kNone);
    EXPECT_EQ(close.code, kGoingAway);
    EXPECT_EQ(close.reason, "bye");
    EXPECT_EQ(parse_close("\x03\xE9"
                          "\xFF",
                          close),
              Fault::kTextNotUtf8);
    EXPECT_EQ(parse_close("\x03\xE9"
                          "\xC3",
                          close),
              Fault::kTextNotUtf8);
    EXPECT_EQ(parse_close("\x03\xEE", close), Fault::kCloseCode);
}

TEST(IsWsCloseCode, Ranges) {
    for (uint32_t code = 0; code <= UINT16_MAX; ++code) {
        const bool standard = code >= 1000 && code <= 1014 && (code < 1004 || code > 1006);
        const bool free = code >= 3000 && code <= 4999;
        EXPECT_EQ(is_close_code(static_cast<uint16_t>(code)), standard || free) << code;
    }
}

TEST(Fault, NamesBelongToTheirEnumerators) {
    EXPECT_EQ(describe(Fault::kReservedBit).rule, "ws-reserved-bit");
    EXPECT_EQ(describe(Fault::kUnmasked).rule, "ws-unmasked");
    EXPECT_EQ(describe(Fault::kNothingToContinue).rule, "ws-nothing-to-continue");
    EXPECT_EQ(describe(Fault::kTextNotUtf8).close_code, 1007);
    EXPECT_EQ(describe(Fault::kCompressionCorrupt).rule, "ws-compression-corrupt");
    EXPECT_EQ(describe(Fault::kMessageTooBig).close_code, 1009);
    for (int number = 0; number < static_cast<int>(Fault::kCount); ++number)
        EXPECT_LE(describe(static_cast<Fault>(number)).detail.size(), kReasonBytesMax);
}

}  // namespace
}  // namespace mono::websocket
