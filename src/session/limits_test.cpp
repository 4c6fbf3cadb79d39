#include "session/limits.hpp"

#include <gtest/gtest.h>

namespace mono::session {
namespace {

Limits limits_of(const config::Settings& settings) {
    base::Result<Limits> limits = limits_from(settings);
    EXPECT_TRUE(limits.ok());
    return std::move(limits.value());
}

TEST(Limits, SecondsBecomeMilliseconds) {
    config::Settings settings;
    settings.client_header_timeout = 3;
    settings.client_body_timeout = 4;
    settings.send_timeout = 5;
    settings.keepalive = 6;
    const Limits limits = limits_of(settings);
    EXPECT_EQ(limits.head_ms_max, 3'000);
    EXPECT_EQ(limits.body_ms_max, 4'000);
    EXPECT_EQ(limits.send_ms_max, 5'000);
    EXPECT_EQ(limits.keepalive_ms_max, 6'000);
}

TEST(Limits, ZeroMeansUnlimitedNotNothing) {
    config::Settings settings;
    settings.limit_request_line = 0;
    settings.limit_request_fields = 0;
    settings.limit_request_field_size = 0;
    settings.limit_request_head = 0;
    settings.limit_request_body = 0;
    const Limits limits = limits_of(settings);
    EXPECT_EQ(limits.head.line_bytes_max, 0u);  // the parser's word for the whole head
    EXPECT_GT(limits.head.fields_max, 1000u);
    EXPECT_GE(limits.head.field_bound(), 8190u);
    EXPECT_GT(limits.head.head_bytes_max, 1u << 24);
    EXPECT_EQ(limits.body_bytes_max, 0u);
}

TEST(Limits, HugeNumbersAreClampedNotCut) {
    config::Settings settings;
    settings.limit_request_line = 1ll << 40;
    settings.limit_request_fields = 1ll << 40;
    settings.limit_request_field_size = (1ll << 32) + 5;
    settings.limit_request_head = (1ll << 32) + 5;
    const Limits limits = limits_of(settings);
    EXPECT_EQ(limits.head.line_bytes_max, 8190u);
    EXPECT_EQ(limits.head.fields_max, 32768u);
    EXPECT_EQ(limits.head.field_bytes_max, static_cast<uint32_t>(INT32_MAX));
    EXPECT_EQ(limits.head.head_bytes_max, static_cast<uint32_t>(INT32_MAX));
}

TEST(Limits, ABadNetworkIsASentence) {
    config::Settings settings;
    settings.forwarded_allow_ips = {"10.0.0.300"};
    base::Result<Limits> limits = limits_from(settings);
    ASSERT_FALSE(limits.ok());
    EXPECT_NE(limits.sentence().find("forwarded_allow_ips"), std::string::npos);
    EXPECT_NE(limits.sentence().find("10.0.0.300"), std::string::npos);
}

TEST(Limits, TheIdsHeaderIsAName) {
    config::Settings settings;
    EXPECT_EQ(limits_of(settings).request_id_header, "");
    settings.request_id_header = "X-Request-ID";
    EXPECT_EQ(limits_of(settings).request_id_header, "X-Request-ID");
    settings.request_id_header = "X: y";
    base::Result<Limits> limits = limits_from(settings);
    ASSERT_FALSE(limits.ok());
    EXPECT_NE(limits.sentence().find("request_id_header"), std::string::npos);
}

TEST(Limits, HeaderMapByName) {
    config::Settings settings;
    EXPECT_EQ(limits_of(settings).trust.header_map, http::HeaderMap::kDrop);
    settings.header_map = "refuse";
    EXPECT_EQ(limits_of(settings).trust.header_map, http::HeaderMap::kRefuse);
    settings.header_map = "dangerous";
    EXPECT_EQ(limits_of(settings).trust.header_map, http::HeaderMap::kDangerous);
}

}  // namespace
}  // namespace mono::session
