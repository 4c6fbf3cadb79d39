// request_buffering: its grammar, and which rule is for which path.
#include "session/buffering.hpp"

#include <gtest/gtest.h>

namespace mono::session {
namespace {

using config::kNeverStreamed;

uint64_t above(const config::Texts& items, std::string_view path) {
    auto rules = BufferingRules::parse(items);
    EXPECT_TRUE(rules.ok());
    return rules.value().stream_above(path, 77);
}

TEST(BufferingRules, WithoutOneTheWorkersDefaultCounts) {
    EXPECT_EQ(above({}, "/"), 77u);
    EXPECT_EQ(above({"/upload=off"}, "/"), 77u);
    EXPECT_EQ(above({"/upload=off"}, ""), 77u);
}

TEST(BufferingRules, OnOffAndSizes) {
    EXPECT_EQ(above({"on"}, "/a"), kNeverStreamed);
    EXPECT_EQ(above({" OFF "}, "/a"), 0u);
    EXPECT_EQ(above({"0"}, "/a"), 0u);
    EXPECT_EQ(above({"8192"}, "/a"), 8192u);
    EXPECT_EQ(above({"1M"}, "/a"), uint64_t{1} << 20);
}

TEST(BufferingRules, TheLongestPrefixCounts) {
    const config::Texts items{"on", "/a=off", "/a/b=64K", "/a/b/c=on", "/x=y=off"};
    EXPECT_EQ(above(items, "/"), kNeverStreamed);
    EXPECT_EQ(above(items, "/a"), 0u);
    EXPECT_EQ(above(items, "/a/bb"), 65'536u);
    EXPECT_EQ(above(items, "/a/b/c/d"), kNeverStreamed);
    EXPECT_EQ(above(items, "/x=y/z"), 0u);
    EXPECT_EQ(above(items, "/x"), kNeverStreamed);
}

TEST(BufferingRules, OfTwoForOnePrefixTheLaterCounts) {
    EXPECT_EQ(above({"off", "on"}, "/"), kNeverStreamed);
    EXPECT_EQ(above({"/a=on", "/a=off"}, "/a"), 0u);
}

TEST(BufferingRules, WhatIsNoRule) {
    for (const char* text : {"maybe", "", "-1", "upload=off", "=off", "/upload=", "/upload",
                             "/a=off,/b=on", "1T", "1.5M", "/a=maybe"}) {
        const auto rules = BufferingRules::parse({text});
        ASSERT_FALSE(rules.ok()) << text;
        EXPECT_NE(rules.sentence().find("must be on, off or a number of bytes"), std::string::npos);
    }
}

}  // namespace
}  // namespace mono::session
