#include "board/scoreboard.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <new>

namespace mono::board {
namespace {

struct Board {
    static constexpr uint32_t kSlots = 3;
    struct Free {
        void operator()(void* memory) const {
            ::operator delete (memory, std::align_val_t{alignof(Slot)});
        }
    };
    std::unique_ptr<void, Free> memory{
        ::operator new (Scoreboard::bytes(kSlots), std::align_val_t{alignof(Slot)})};
    Board() { std::fill_n(static_cast<char*>(memory.get()), Scoreboard::bytes(kSlots), 0); }
    Scoreboard board{memory.get(), kSlots};
};

TEST(Scoreboard, ClearKeepsTheSumsOfTheDead) {
    Board b;
    b.board.clear(0);
    b.board.clear(1);
    b.board.clear(2);
    b.board.slot(1).ledger.accepted = 5;
    b.board.slot(1).ledger.answered = 3;
    b.board.slot(1).ledger.refused = 1;
    b.board.slot(1).ledger.aborted = 1;
    b.board.slot(1).ready = 1;
    b.board.slot(1).beat_ms = 77;
    b.board.slot(1).in_flight = 2;
    b.board.slot(2).ledger.accepted = 10;
    b.board.clear(1);
    EXPECT_EQ(b.board.slot(1).ledger.accepted, 0U);
    EXPECT_EQ(b.board.slot(1).ready, 0U);
    EXPECT_EQ(b.board.slot(1).beat_ms, 0);
    EXPECT_EQ(b.board.slot(1).in_flight, 0U);
    const Totals totals = b.board.totals();
    EXPECT_EQ(totals.accepted, 15U);
    EXPECT_EQ(totals.answered, 3U);
    EXPECT_EQ(totals.refused, 1U);
    EXPECT_EQ(totals.aborted, 1U);
}

TEST(Scoreboard, WhatADeadWorkerHeldWasAborted) {
    Board b;
    b.board.clear(0);
    b.board.slot(0).ledger.accepted = 9;
    b.board.slot(0).ledger.answered = 6;
    b.board.slot(0).ledger.aborted = 1;
    b.board.slot(0).flights_used = 1;
    b.board.slot(0).flights[0].phase = FlightPhase::kRunning;
    b.board.clear(0);
    EXPECT_EQ(b.board.slot(0).flights[0].phase, FlightPhase::kFree);
    const Totals totals = b.board.totals();
    EXPECT_EQ(totals.accepted, 9U);
    EXPECT_EQ(totals.aborted, 3U);
    EXPECT_EQ(totals.accepted, totals.answered + totals.refused + totals.aborted);
}

TEST(Scoreboard, FreeSlotsOfSiblings) {
    Board b;
    for (uint32_t i = 0; i < 3; ++i) b.board.clear(i);
    EXPECT_EQ(b.board.free_slots(0), 0u);
    for (uint32_t i = 0; i < 3; ++i) b.board.slot(i).slots = 1;
    EXPECT_EQ(b.board.free_slots(0), 0u) << "nobody is open";
    b.board.slot(0).open = 1;
    EXPECT_EQ(b.board.free_slots(0), 0u) << "oneself is no sibling";
    EXPECT_EQ(b.board.free_slots(1), 1u);
    b.board.slot(0).busy = 1;
    EXPECT_EQ(b.board.free_slots(1), 0u);
    b.board.slot(0).slots = 4;
    EXPECT_EQ(b.board.free_slots(1), 3u);
    b.board.slot(2).open = 1;
    EXPECT_EQ(b.board.free_slots(1), 4u);
}

TEST(Scoreboard, OpenSiblings) {
    Board b;
    for (uint32_t i = 0; i < 3; ++i) b.board.clear(i);
    EXPECT_FALSE(b.board.has_open_sibling(0));
    b.board.slot(0).open = 1;
    EXPECT_FALSE(b.board.has_open_sibling(0)) << "oneself is no sibling";
    EXPECT_TRUE(b.board.has_open_sibling(2));
}

TEST(Scoreboard, SlotsDoNotShareCacheLines) {
    Board b;
    auto at = [&](uint32_t i) { return reinterpret_cast<uintptr_t>(&b.board.slot(i)); };
    EXPECT_EQ(at(0) % 128, 0U);
    EXPECT_EQ(at(1) - at(0), sizeof(Slot));
    EXPECT_EQ(sizeof(Slot) % 128, 0U);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(&b.board.slot(0).flights[0]) % 128, 0U);
}

TEST(Flight, TextIsCutNotOverrun) {
    Flight flight{};
    flight.client.set(std::string(500, 'x'));
    EXPECT_EQ(flight.client.view(), std::string(45, 'x'));
    flight.client.set("");
    EXPECT_EQ(flight.client.view(), "");
}

}  // namespace
}  // namespace mono::board
