#include "engine/seldom.hpp"

#include <gtest/gtest.h>

namespace mono::engine {
namespace {

TEST(Seldom, IsSaidAtOnceAndThenCounted) {
    Seldom line;
    EXPECT_EQ(line.ask(5), "");
    EXPECT_EQ(line.ask(6), std::nullopt);
    EXPECT_EQ(line.ask(5 + Seldom::kPauseMs - 1), std::nullopt);
    EXPECT_EQ(line.ask(5 + Seldom::kPauseMs), " (2 more since the last such line)");
    EXPECT_EQ(line.ask(5 + 2 * Seldom::kPauseMs), "");
}

}  // namespace
}  // namespace mono::engine
