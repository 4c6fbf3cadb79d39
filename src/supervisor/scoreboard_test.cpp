#include "supervisor/scoreboard.hpp"

#include <gtest/gtest.h>

#include <cstring>

namespace mono::supervisor {
namespace {

struct Board {
    alignas(Slot) unsigned char memory[Scoreboard::bytes(3)] = {};
    Scoreboard board{memory, 3};
};

TEST(Scoreboard, ClearKeepsTheSumsOfTheDead) {
    Board b;
    b.board.slot(1).accepted = 5;
    b.board.slot(1).answered = 3;
    b.board.slot(1).refused = 1;
    b.board.slot(1).aborted = 1;
    b.board.slot(1).ready = 1;
    b.board.slot(1).beat_ms = 77;
    b.board.slot(1).in_flight = 2;
    b.board.slot(2).accepted = 10;
    b.board.clear(1);
    EXPECT_EQ(b.board.slot(1).accepted, 0U);
    EXPECT_EQ(b.board.slot(1).ready, 0U);
    EXPECT_EQ(b.board.slot(1).beat_ms, 0);
    EXPECT_EQ(b.board.slot(1).in_flight, 0U);
    const Totals totals = b.board.totals();
    EXPECT_EQ(totals.accepted, 15U);
    EXPECT_EQ(totals.answered, 3U);
    EXPECT_EQ(totals.refused, 1U);
    EXPECT_EQ(totals.aborted, 1U);
}

TEST(Scoreboard, SlotsDoNotShareCacheLines) {
    Board b;
    EXPECT_EQ(b.board.size(), 3U);
    EXPECT_EQ(reinterpret_cast<char*>(&b.board.slot(1)) - reinterpret_cast<char*>(&b.board.slot(0)),
              128);
}

}  // namespace
}  // namespace mono::supervisor
