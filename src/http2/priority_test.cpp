#include "http2/priority.hpp"

#include <gtest/gtest.h>

namespace mono::http2 {
namespace {

Priority of(uint8_t urgency, bool incremental) { return {urgency, incremental}; }

TEST(Priority, ReadsUrgencyAndIncremental) {
    EXPECT_EQ(parse_priority(""), of(3, false));
    EXPECT_EQ(parse_priority("u=0"), of(0, false));
    EXPECT_EQ(parse_priority("u=7, i"), of(7, true));
    EXPECT_EQ(parse_priority("i=?1,u=5"), of(5, true));
    EXPECT_EQ(parse_priority("i, i=?0"), of(3, false));
    EXPECT_EQ(parse_priority("u=1;x=2, i;y"), of(1, true));
}

TEST(Priority, WhatCannotBeReadKeepsTheDefault) {
    EXPECT_EQ(parse_priority("u=8"), of(3, false));
    EXPECT_EQ(parse_priority("u=-1, u=10, u="), of(3, false));
    EXPECT_EQ(parse_priority("x=1, u, i=1"), of(3, false));
}

}  // namespace
}  // namespace mono::http2
