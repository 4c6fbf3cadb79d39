#include "http/request_id.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "http1/head_parser.hpp"

namespace mono::http {
namespace {

constexpr std::string_view kTrace = "0af7651916cd43dd8448eb211c80319c";
constexpr std::string_view kTraceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

TEST(IsRequestId, TakesWhatGeneratorsMake) {
    for (const char* text :
         {"a", "7b4d1f7e-3c5d-4f0a-9d3e-2b1f6a8c9d00", "9f86d081884c7d659a2feaa0c55ad015",
          "01ARZ3NDEKTSV4RRFFQ69G5FAV", "host-1.example/abc+DEF==", "app:web.1@eu~2"})
        EXPECT_TRUE(is_request_id(text)) << text;
    EXPECT_TRUE(is_request_id(std::string(64, 'x')));
}

TEST(IsRequestId, RefusesWhatAProxyWouldNotMake) {
    EXPECT_FALSE(is_request_id(""));
    EXPECT_FALSE(is_request_id(std::string(65, 'x')));
    for (int byte = 0; byte < 256; ++byte) {
        const std::string_view marks = "-._~+/=:@";
        const bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
        const bool allowed = letter || (byte >= '0' && byte <= '9') ||
                             marks.find(static_cast<char>(byte)) != std::string_view::npos;
        const std::string text{'a', static_cast<char>(byte), 'b'};
        EXPECT_EQ(is_request_id(text), allowed) << byte;
    }
}

TEST(RequestId, KeepsItsTextUntilCleared) {
    RequestId id;
    EXPECT_TRUE(id.empty());
    id.assign(std::string(64, 'x'));
    EXPECT_EQ(id.view(), std::string(64, 'x'));
    id.assign("short");
    EXPECT_EQ(id.view(), "short");
    id.clear();
    EXPECT_EQ(id.view(), "");
}

TEST(RequestIdMaker, CountsInHexadecimal) {
    RequestIdMaker maker(0x0123456789abcdefU);
    RequestId id;
    std::set<std::string> seen;
    for (int i = 0; i < 5000; ++i) {
        maker.make(id);
        ASSERT_EQ(id.view().substr(0, 16), "0123456789abcdef");
        ASSERT_EQ(id.view().size(), 28U);
        ASSERT_EQ(std::stoi(std::string(id.view().substr(16)), nullptr, 16), i);
        ASSERT_TRUE(is_request_id(id.view()));
        seen.insert(std::string(id.view()));
    }
    EXPECT_EQ(seen.size(), 5000U);
}

TEST(TraceIdOf, ReadsTheVersionsOfTheStandard) {
    EXPECT_EQ(trace_id_of(kTraceparent), kTrace);
    std::string later(kTraceparent);
    later[1] = '1';
    EXPECT_EQ(trace_id_of(later), kTrace);
    EXPECT_EQ(trace_id_of(later + "-more"), kTrace);
}

TEST(TraceIdOf, IsEmptyForWhatIsNone) {
    const std::string good(kTraceparent);
    const std::string cases[] = {
        "",
        good.substr(0, 54),
        good + "0",
        good + "-more",
        "ff" + good.substr(2),
        "0G" + good.substr(2),
        "01" + good.substr(2) + "more",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0AF7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333X-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g",
        "00_0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331_01",
    };
    for (const std::string& text : cases) EXPECT_EQ(trace_id_of(text), "") << text;
}

class ReadOriginTest : public testing::Test {
  protected:
    RequestOrigin read(const std::string& fields, bool trusted = true) {
        bytes_ = "GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
        http1::HeadParser parser(rules_);
        head_.clear();
        EXPECT_EQ(parser.parse(bytes_.data(), static_cast<uint32_t>(bytes_.size()), head_),
                  http1::ParseStatus::kComplete);
        return read_origin(bytes_.data(), head_, trusted);
    }
    std::string text(const base::Slice& slice) { return std::string(slice.in(bytes_.data())); }

  private:
    http1::HeadRules rules_;
    RequestHead head_;
    std::string bytes_;
};

TEST_F(ReadOriginTest, OfATrustedPeer) {
    const std::string fields = "X-Request-ID: abc\r\nTraceparent: " + std::string(kTraceparent) +
                               "\r\nX-Request-Start: t=1\r\n";
    const RequestOrigin origin = read(fields);
    EXPECT_EQ(text(origin.request_id), "abc");
    EXPECT_EQ(text(origin.trace_id), kTrace);
    EXPECT_EQ(text(origin.queue_start), "t=1");
}

TEST_F(ReadOriginTest, OthersAreBelievedTheTraceOnly) {
    const std::string fields = "X-Request-ID: abc\r\nTraceparent: " + std::string(kTraceparent) +
                               "\r\nX-Request-Start: t=1\r\nX-Queue-Start: t=1\r\n";
    const RequestOrigin origin = read(fields, false);
    EXPECT_TRUE(origin.request_id.empty());
    EXPECT_EQ(text(origin.trace_id), kTrace);
    EXPECT_TRUE(origin.queue_start.empty());
}

TEST_F(ReadOriginTest, WhatIsGivenTwiceIsNobodys) {
    const std::string trace = "traceparent: " + std::string(kTraceparent) + "\r\n";
    const RequestOrigin origin = read("X-Request-ID: a\r\nX-Request-ID: a\r\n" + trace + trace);
    EXPECT_TRUE(origin.request_id.empty());
    EXPECT_TRUE(origin.trace_id.empty());
}

TEST_F(ReadOriginTest, TheFirstStampCounts) {
    EXPECT_EQ(text(read("X-Queue-Start: 3\r\nX-Queue-Start: 4\r\n").queue_start), "3");
    EXPECT_EQ(text(read("X-Queue-Start: 3\r\nX-Request-Start: 1\r\n").queue_start), "1");
    EXPECT_TRUE(read("").queue_start.empty());
}

}  // namespace
}  // namespace mono::http
