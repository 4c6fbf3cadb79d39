// The grammar is covered by tests/vectors/chunked; here are the steps and the encoder.
#include "http1/chunked.hpp"

#include <gtest/gtest.h>

#include <string>

namespace mono::http1 {
namespace {

using Event = ChunkedDecoder::Event;

TEST(ChunkedDecoder, StepsThroughABody) {
    const HeadRules rules;
    ChunkedDecoder decoder(rules);
    std::string_view input = "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\nGET";
    ChunkedDecoder::Step step = decoder.next(input);
    EXPECT_EQ(step.event, Event::kData);
    EXPECT_EQ(step.data, "abc");
    EXPECT_EQ(step.data.data(), input.data() + 3);  // a piece of the input, no copy
    EXPECT_EQ(step.consumed, 6U);
    input.remove_prefix(step.consumed);
    step = decoder.next(input);
    EXPECT_EQ(step.event, Event::kData);
    EXPECT_EQ(step.data, "de");
    input.remove_prefix(step.consumed);
    step = decoder.next(input);
    EXPECT_EQ(step.event, Event::kEnd);
    EXPECT_EQ(input.substr(step.consumed), "GET");
    step = decoder.next("GET");
    EXPECT_EQ(step.event, Event::kEnd);
    EXPECT_EQ(step.consumed, 0U);
}

TEST(ChunkedDecoder, NeedsMoreAndNeverHandsOutNothing) {
    const HeadRules rules;
    ChunkedDecoder decoder(rules);
    EXPECT_EQ(decoder.next("").event, Event::kNeedMore);
    ChunkedDecoder::Step step = decoder.next("3;ext");
    EXPECT_EQ(step.event, Event::kNeedMore);
    EXPECT_EQ(step.consumed, 5U);
    step = decoder.next("\r\n");
    EXPECT_EQ(step.event, Event::kNeedMore);
    EXPECT_EQ(step.consumed, 2U);
    step = decoder.next("a");
    EXPECT_EQ(step.event, Event::kData);
    EXPECT_EQ(step.data, "a");
    EXPECT_EQ(decoder.next("").event, Event::kNeedMore);
}

TEST(ChunkedDecoder, StaysFailedUntilReset) {
    const HeadRules rules;
    ChunkedDecoder decoder(rules);
    ChunkedDecoder::Step step = decoder.next("1\r\naXX");
    EXPECT_EQ(step.data, "a");
    EXPECT_EQ(decoder.next("XX").event, Event::kFailed);
    EXPECT_EQ(decoder.next("\r\n0\r\n\r\n").event, Event::kFailed);
    EXPECT_EQ(decoder.error(), http::Error::kChunkEndInvalid);
    EXPECT_EQ(decoder.error_offset(), 4U);
    decoder.reset();
    EXPECT_EQ(decoder.error(), http::Error::kNone);
    EXPECT_EQ(decoder.next("0\r\n\r\n").event, Event::kEnd);
}

TEST(ChunkedDecoder, ResetForgetsTrailers) {
    const HeadRules rules;
    ChunkedDecoder decoder(rules);
    EXPECT_EQ(decoder.next("0\r\nA: b\r\n\r\n").event, Event::kEnd);
    ASSERT_EQ(decoder.trailers().size(), 1U);
    EXPECT_EQ(decoder.trailers()[0].name, "A");
    EXPECT_EQ(decoder.trailers()[0].value, "b");
    decoder.reset();
    EXPECT_TRUE(decoder.trailers().empty());
}

TEST(WriteChunkPrefix, IsUpperCaseAndReadBack) {
    for (const uint64_t size : {uint64_t{1}, uint64_t{9}, uint64_t{10}, uint64_t{15}, uint64_t{16},
                                uint64_t{255}, uint64_t{4096}, uint64_t{0xABCDEF}, UINT64_MAX}) {
        char out[kChunkPrefixMax + 1] = {};
        const size_t length = write_chunk_prefix(size, out);
        ASSERT_LE(length, kChunkPrefixMax);
        char expected[32];
        std::snprintf(expected, sizeof(expected), "%lX\r\n", static_cast<unsigned long>(size));
        EXPECT_STREQ(out, expected);
    }
    char zero[kChunkPrefixMax];
    EXPECT_EQ(std::string_view(zero, write_chunk_prefix(0, zero)), "0\r\n");
}

}  // namespace
}  // namespace mono::http1
