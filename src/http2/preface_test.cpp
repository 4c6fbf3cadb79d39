#include "http2/preface.hpp"

#include <gtest/gtest.h>

namespace mono::http2 {
namespace {

TEST(Preface, IsToldAtEverySplit) {
    for (size_t size = 0; size < kPreface.size(); ++size)
        EXPECT_EQ(match_preface(kPreface.substr(0, size)), Preface::kNeedMore) << size;
    EXPECT_EQ(match_preface(kPreface), Preface::kYes);
    EXPECT_EQ(match_preface(std::string(kPreface) + "more"), Preface::kYes);
}

TEST(Preface, TheFirstOtherByteDecides) {
    for (size_t at = 0; at < kPreface.size(); ++at) {
        std::string bytes(kPreface.substr(0, at + 1));
        bytes[at] = '~';
        EXPECT_EQ(match_preface(bytes), Preface::kNo) << at;
    }
    EXPECT_EQ(match_preface("GET / HTTP/1.1\r\n"), Preface::kNo);
    EXPECT_EQ(match_preface("PRI"), Preface::kNeedMore);
}

UpgradeFields good() { return {"h2c", "Upgrade, HTTP2-Settings", "AAMAAABkAAQAAP__", 1}; }

TEST(Upgrade, DecodesTheSettings) {
    std::string payload;
    ASSERT_TRUE(accepts_upgrade(good(), payload));
    EXPECT_EQ(payload, std::string("\0\x03\0\0\0\x64\0\x04\0\0\xFF\xFF", 12));
    UpgradeFields fields = good();
    fields.settings = "";
    EXPECT_TRUE(accepts_upgrade(fields, payload));
    EXPECT_EQ(payload, "");
}

TEST(Upgrade, NeedsAllOfItsParts) {
    std::string payload;
    UpgradeFields fields = good();
    fields.upgrade = "H2C";
    EXPECT_FALSE(accepts_upgrade(fields, payload));
    fields = good();
    fields.connection = "upgrade";
    EXPECT_FALSE(accepts_upgrade(fields, payload));
    fields = good();
    fields.connection = "http2-settings";
    EXPECT_FALSE(accepts_upgrade(fields, payload));
    fields = good();
    fields.settings_count = 2;
    EXPECT_FALSE(accepts_upgrade(fields, payload));
    fields.settings_count = 0;
    EXPECT_FALSE(accepts_upgrade(fields, payload));
}

TEST(Upgrade, RefusesSettingsThatHttp2Forbids) {
    // Not base64url, a rest of one digit, bits left over, half an entry, push 2, a window of 2^31,
    // frames of 16383 and of 2^24 bytes.
    for (const std::string_view settings : {"AAMA AABk", "AAMAA", "AAMAAABl9", "AAMAAB", "AAIAAAAC",
                                            "AASAAAAA", "AAUAAD__", "AAUBAAAA"}) {
        UpgradeFields fields = good();
        fields.settings = settings;
        std::string payload;
        EXPECT_FALSE(accepts_upgrade(fields, payload)) << settings;
    }
    for (const std::string_view settings : {"AAIAAAAB", "AAR_____", "AAUAAEAA", "AAUA____"}) {
        UpgradeFields fields = good();
        fields.settings = settings;
        std::string payload;
        EXPECT_TRUE(accepts_upgrade(fields, payload)) << settings;
    }
}

}  // namespace
}  // namespace mono::http2
