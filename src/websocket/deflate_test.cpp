#include "websocket/deflate.hpp"

#include <gtest/gtest.h>

#include <string>

namespace mono::websocket {
namespace {

using Result = Inflater::Result;
constexpr uint64_t kNoBound = UINT64_MAX;

// The answer to an offer, or "declined".
std::string answer(std::string_view offer, const DeflateRules& rules = {}) {
    const auto params = negotiate_deflate(offer, rules);
    return params ? write_deflate(*params) : "declined";
}

TEST(NegotiateWsDeflate, AnswersWhatWasAsked) {
    EXPECT_EQ(answer("permessage-deflate"), "permessage-deflate");
    EXPECT_EQ(answer("Permessage-Deflate"), "permessage-deflate");
    EXPECT_EQ(answer("permessage-deflate; client_max_window_bits"),
              "permessage-deflate; client_max_window_bits=12");
    EXPECT_EQ(answer("permessage-deflate; client_max_window_bits=10"),
              "permessage-deflate; client_max_window_bits=10");
    EXPECT_EQ(answer("permessage-deflate; client_max_window_bits=\"9\""),
              "permessage-deflate; client_max_window_bits=9");
    EXPECT_EQ(answer("permessage-deflate; server_max_window_bits=15"),
              "permessage-deflate; server_max_window_bits=15");
    EXPECT_EQ(answer("permessage-deflate;server_max_window_bits=9;server_no_context_takeover"),
              "permessage-deflate; server_no_context_takeover; server_max_window_bits=9");
    EXPECT_EQ(answer("permessage-deflate; client_no_context_takeover"), "permessage-deflate");
}

TEST(NegotiateWsDeflate, DeclinesWhatItCannotKeep) {
    for (const char* offer :
         {"", ",", "x-webkit-deflate-frame", "permessage-deflate; unknown",
          "permessage-deflate; server_no_context_takeover=1",
          "permessage-deflate; client_no_context_takeover=\"\"",
          "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
          "permessage-deflate; server_max_window_bits",
          "permessage-deflate; server_max_window_bits=",
          "permessage-deflate; server_max_window_bits=7",
          "permessage-deflate; server_max_window_bits=8",
          "permessage-deflate; server_max_window_bits=16",
          "permessage-deflate; server_max_window_bits=010",
          "permessage-deflate; client_max_window_bits=7",
          "permessage-deflate; client_max_window_bits=1a",
          "permessage-deflate; client_max_window_bits=\"10",
          "permessage-deflate client_max_window_bits", "permessage-deflate;",
          "=;permessage-deflate"})
        EXPECT_EQ(answer(offer), "declined") << offer;
}

TEST(NegotiateWsDeflate, TakesTheFirstOfferThatFits) {
    EXPECT_EQ(answer("x-a; b=\"c\", permessage-deflate; server_max_window_bits=8, "
                     "permessage-deflate; server_max_window_bits=10,permessage-deflate"),
              "permessage-deflate; server_max_window_bits=10");
    EXPECT_EQ(answer(" , permessage-deflate; odd ,, permessage-deflate"), "permessage-deflate");
}

TEST(NegotiateWsDeflate, ObeysTheRules) {
    DeflateRules rules;
    rules.server_no_context_takeover = rules.client_no_context_takeover = true;
    rules.client_window_bits_max = 15;
    EXPECT_EQ(answer("permessage-deflate; client_max_window_bits", rules),
              "permessage-deflate; server_no_context_takeover; client_no_context_takeover; "
              "client_max_window_bits=15");
    rules.enabled = false;
    EXPECT_EQ(answer("permessage-deflate", rules), "declined");
}

std::string inflate(Inflater& inflater, std::string_view payload) {
    base::Buffer out;
    if (inflater.append(payload, kNoBound, out) != Result::kOk) return "<corrupt>";
    if (inflater.finish(kNoBound, out) != Result::kOk) return "<corrupt>";
    return std::string(out.view());
}

// The examples of RFC 7692 section 7.2.3.
TEST(Inflater, ExamplesOfTheStandard) {
    const DeflateParams params;
    Inflater inflater(params);
    EXPECT_EQ(inflate(inflater, std::string_view("\xf2\x48\xcd\xc9\xc9\x07\x00", 7)), "Hello");
    EXPECT_EQ(inflate(inflater, std::string_view("\xf2\x00\x11\x00\x00", 5)), "Hello");
    EXPECT_EQ(
        inflate(inflater, std::string_view("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", 11)),
        "Hello");
    EXPECT_EQ(inflate(inflater, std::string_view("\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8)), "Hello");
    EXPECT_EQ(inflate(inflater,
                      std::string_view("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", 13)),
              "Hello");
    EXPECT_EQ(inflate(inflater, std::string_view("\0", 1)), "");
}

TEST(Inflater, KeepsTheContextBehindAFinalBlock) {
    const DeflateParams params;
    Inflater inflater(params);
    EXPECT_EQ(inflate(inflater, std::string_view("\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8)), "Hello");
    EXPECT_EQ(inflate(inflater, std::string_view("\xf2\x00\x11\x00\x00", 5)), "Hello");
}

TEST(Inflater, ForgivesAForgottenLastByte) {
    const DeflateParams params;
    Inflater inflater(params);
    EXPECT_EQ(inflate(inflater, std::string_view("\xf3\x48\xcd\xc9\xc9\x07\x00", 7)), "Hello");
    EXPECT_EQ(inflate(inflater, ""), "");
    EXPECT_EQ(inflate(inflater, std::string_view("\xf2\x00\x11\x00\x00", 5)), "Hello");
}

TEST(Inflater, ForgetsTheContextWhereThatWasAgreed) {
    DeflateParams params;
    params.client_no_context_takeover = true;
    Inflater inflater(params);
    EXPECT_EQ(inflate(inflater, std::string_view("\xf2\x48\xcd\xc9\xc9\x07\x00", 7)), "Hello");
    EXPECT_EQ(inflate(inflater, std::string_view("\xf2\x00\x11\x00\x00", 5)), "<corrupt>");
}

TEST(Inflater, SeesNonsenseAndTruncation) {
    const DeflateParams params;
    Inflater nonsense(params);
    EXPECT_EQ(inflate(nonsense, "\xff\xff\xff"), "<corrupt>");
    Inflater cut(params);
    EXPECT_EQ(inflate(cut, "\xf2\x48\xcd"), "<corrupt>");
}

std::string compressed(std::string_view message, const DeflateParams& params) {
    base::Buffer out;
    Deflater deflater(params, DeflateRules());
    deflater.compress(message, out);
    return std::string(out.view());
}

// A bomb: 64 MiB in 64 KiB. Neither memory nor time may follow it.
TEST(Inflater, StopsAtTheBound) {
    const DeflateParams params;
    const std::string bomb = compressed(std::string(64 << 20, 'x'), params);
    EXPECT_LT(bomb.size(), 512U << 10);
    for (const uint64_t bound : {uint64_t{0}, uint64_t{1}, uint64_t{1} << 20}) {
        Inflater inflater(params);
        base::Buffer out;
        EXPECT_EQ(inflater.append(bomb, bound, out), Result::kTooBig);
        EXPECT_EQ(out.size(), bound + 1);
        EXPECT_LE(out.capacity(), 2 * bound + 64 * 1024);
    }
}

TEST(Inflater, TheBoundItselfIsPermitted) {
    const DeflateParams params;
    for (const size_t size : {size_t{1}, size_t{511}, size_t{512}, size_t{513}, size_t{16384},
                              size_t{16385}, size_t{100'000}}) {
        const std::string payload = compressed(std::string(size, 'x'), params);
        for (const uint64_t bound : {uint64_t{size}, uint64_t{size} - 1}) {
            Inflater inflater(params);
            base::Buffer out;
            Result result = inflater.append(payload, bound, out);
            if (result == Result::kOk) result = inflater.finish(bound, out);
            EXPECT_EQ(result, bound == size ? Result::kOk : Result::kTooBig) << size;
        }
    }
}

std::string words(size_t count, uint32_t seed) {
    std::string text;
    for (size_t at = 0; at < count; ++at) {
        seed = seed * 1664525 + 1013904223;
        text += "word" + std::to_string(seed >> 20) + " ";
    }
    return text;
}

class RoundTrip : public testing::TestWithParam<DeflateParams> {};

TEST_P(RoundTrip, MessagesOfAllSizes) {
    // A client with exactly the window that was agreed on must be able to read what is sent.
    DeflateParams client = GetParam();
    client.client_window_bits = client.server_window_bits;
    client.client_no_context_takeover = client.server_no_context_takeover;
    Deflater deflater(GetParam(), DeflateRules());
    Inflater inflater(client);
    for (size_t round = 0; round < 60; ++round) {
        const std::string message = words(round * round * 7 % 4001, static_cast<uint32_t>(round));
        base::Buffer out;
        deflater.compress(message, out);
        ASSERT_FALSE(out.empty());
        base::Buffer back;
        for (size_t at = 0; at < out.size(); at += 1000)
            ASSERT_EQ(inflater.append(out.view().substr(at, 1000), kNoBound, back), Result::kOk);
        ASSERT_EQ(inflater.finish(kNoBound, back), Result::kOk);
        ASSERT_EQ(back.view(), message) << round;
    }
}

DeflateParams with(uint8_t bits, bool forgets) {
    DeflateParams params;
    params.server_window_bits = bits;
    params.server_no_context_takeover = forgets;
    return params;
}
INSTANTIATE_TEST_SUITE_P(Windows, RoundTrip,
                         testing::Values(with(9, false), with(9, true), with(10, false),
                                         with(12, true), with(15, false), with(15, true)));

TEST(Deflater, ContextMakesTheSecondMessageSmaller) {
    const std::string message = words(40, 1);
    for (const bool forgets : {false, true}) {
        Deflater deflater(with(15, forgets), DeflateRules());
        base::Buffer first;
        base::Buffer second;
        deflater.compress(message, first);
        deflater.compress(message, second);
        EXPECT_EQ(second.size() < first.size() / 4, !forgets);
        EXPECT_EQ(second.size() == first.size(), forgets);
    }
}

// Whoever rests between two messages, and however often, goes on where the peer is; and the peer
// reads what begins anew.
TEST(Inflater, RestsBetweenTwoMessages) {
    for (const bool forgets : {false, true}) {
        for (const uint8_t bits : {uint8_t{9}, uint8_t{15}}) {
            DeflateParams params = with(bits, forgets);
            DeflateParams client = params;
            client.client_window_bits = bits;
            client.client_no_context_takeover = forgets;
            Deflater deflater(params, DeflateRules());
            Inflater inflater(client);
            for (uint32_t round = 0; round < 20; ++round) {
                const std::string message = words(round % 5 == 0 ? 0 : 60, round % 3);
                base::Buffer out;
                deflater.compress(message, out);
                ASSERT_EQ(inflate(inflater, out.view()), message) << round;
                inflater.rest();
                inflater.rest();
                EXPECT_TRUE(inflater.rests());
                if (round % 4 == 0) {
                    ASSERT_EQ(inflate(inflater, ""), "");
                }
            }
        }
    }
}

TEST(Inflater, RestsBehindAFinalBlock) {
    Inflater inflater((DeflateParams()));
    EXPECT_EQ(inflate(inflater, std::string_view("\xf3\x48\xcd\xc9\xc9\x07\x00", 7)), "Hello");
    inflater.rest();
    EXPECT_EQ(inflate(inflater, std::string_view("\xf2\x00\x11\x00\x00", 5)), "Hello");
}

TEST(Deflater, EmptyMessagesInARow) {
    const DeflateParams params;
    Deflater deflater(params, DeflateRules());
    Inflater inflater(params);
    for (const char* message : {"", "", "a", "", ""}) {
        base::Buffer out;
        deflater.compress(message, out);
        EXPECT_EQ(inflate(inflater, out.view()), message);
    }
}

}  // namespace
}  // namespace mono::websocket
