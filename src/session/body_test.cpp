#include "session/body.hpp"

#include <gtest/gtest.h>

#include <string>

#include "session/support_test.hpp"

namespace mono::session {
namespace {

std::string read_all(const Body& body, const char* buffer, size_t step) {
    std::string text;
    std::string piece(step, '\0');
    while (true) {
        const int64_t got = body.read(buffer, text.size(), {piece.data(), piece.size()});
        if (got <= 0) return text;
        text.append(piece, 0, static_cast<size_t>(got));
    }
}

TEST(Body, AnEmptyOneReadsAsNothing) {
    Body body;
    char into[4];
    EXPECT_EQ(body.size(), 0u);
    EXPECT_EQ(body.view(nullptr), "");
    EXPECT_EQ(body.read(nullptr, 0, {into, sizeof into}), 0);
}

TEST(Body, InlineLiesInTheExchangesBuffer) {
    const std::string buffer = "head|the body|rest";
    Body body;
    body.set_inline(5, 8);
    EXPECT_EQ(body.view(buffer.data()), "the body");
    EXPECT_EQ(read_all(body, buffer.data(), 3), "the body");
    EXPECT_FALSE(body.spilled());
}

TEST(Body, StaysInMemoryUpToTheBoundAndLeavesItOneByteLater) {
    MemorySpills spills;
    Body body;
    ASSERT_TRUE(body.append("abcd", 8, spills));
    ASSERT_TRUE(body.append("efgh", 8, spills));
    EXPECT_FALSE(body.spilled());
    EXPECT_EQ(body.view(nullptr), "abcdefgh");
    ASSERT_TRUE(body.append("i", 8, spills));
    EXPECT_TRUE(body.spilled());
    EXPECT_EQ(body.view(nullptr), "");
    EXPECT_EQ(body.size(), 9u);
    EXPECT_EQ(read_all(body, nullptr, 4), "abcdefghi");
    ASSERT_TRUE(body.append("jk", 8, spills));
    EXPECT_EQ(read_all(body, nullptr, 100), "abcdefghijk");
    EXPECT_EQ(spills.made, 1);
}

TEST(Body, ReadsFromAnyOffset) {
    MemorySpills spills;
    Body body;
    ASSERT_TRUE(body.append("0123456789", 4, spills));
    char into[4];
    ASSERT_EQ(body.read(nullptr, 7, {into, sizeof into}), 3);
    EXPECT_EQ(std::string(into, 3), "789");
    EXPECT_EQ(body.read(nullptr, 10, {into, sizeof into}), 0);
    EXPECT_EQ(body.read(nullptr, UINT64_MAX, {into, sizeof into}), 0);
}

TEST(Body, SaysWhenThereIsNoRoom) {
    MemorySpills spills;
    spills.room = 10;
    Body body;
    ASSERT_TRUE(body.append("12345678", 8, spills));
    EXPECT_FALSE(body.append("9ab", 8, spills));
    Body second;
    spills.room = 4;
    ASSERT_TRUE(second.append("12345678", 8, spills));
    EXPECT_FALSE(second.append("9", 8, spills));  // not even what was in memory fits
    Body third;
    spills.refuses = true;
    ASSERT_TRUE(third.append("12345678", 8, spills));
    EXPECT_FALSE(third.append("9", 8, spills));
}

TEST(Body, ClearGivesTheSpillBack) {
    MemorySpills spills;
    Body body;
    ASSERT_TRUE(body.append("123", 0, spills));
    EXPECT_EQ(spills.alive, 1);
    body.clear();
    EXPECT_EQ(spills.alive, 0);
    EXPECT_EQ(body.size(), 0u);
    EXPECT_FALSE(body.spilled());
    ASSERT_TRUE(body.append("4", 8, spills));
    EXPECT_EQ(body.view(nullptr), "4");
}

}  // namespace
}  // namespace mono::session
