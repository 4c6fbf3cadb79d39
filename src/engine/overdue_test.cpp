#include "engine/overdue.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace mono::engine {
namespace {

TEST(Overdue, OneRingForHoweverMany) {
    Overdue overdue;
    session::Exchange one;
    session::Exchange two;
    EXPECT_FALSE(overdue.unrung());
    overdue.add(one, 1'000);
    EXPECT_TRUE(overdue.unrung());
    overdue.note_ring(1'000);
    overdue.add(two, 1'001);
    EXPECT_FALSE(overdue.unrung());
    EXPECT_EQ(overdue.collect().size(), 2U);
    EXPECT_TRUE(overdue.empty());
}

TEST(Overdue, RingsAgainTwiceAsLateEachTime) {
    Overdue overdue;
    session::Exchange exchange;
    overdue.add(exchange, 0);
    int64_t now_ms = 0;
    std::vector<int64_t> rung;
    for (overdue.note_ring(0); now_ms < 30'000; now_ms += 10) {
        if (!overdue.ring_again(now_ms)) continue;
        rung.push_back(now_ms);
        overdue.note_ring(now_ms);
    }
    EXPECT_EQ(rung, (std::vector<int64_t>{500, 1'500, 3'500, 7'500, 15'500, 23'500}));
}

TEST(Overdue, IsUnheardAfterASecondWithoutCollection) {
    Overdue overdue;
    session::Exchange early;
    session::Exchange late;
    overdue.add(early, 100);
    overdue.add(late, 900);
    EXPECT_FALSE(overdue.unheard(1'099));
    EXPECT_TRUE(overdue.unheard(1'100));
    for (session::Exchange* exchange : overdue.collect()) overdue.await_interruption(*exchange);
    EXPECT_FALSE(overdue.unheard(100'000)) << "somebody has heard";
    EXPECT_FALSE(overdue.empty()) << "and they run on";
}

TEST(Overdue, ARequestEndsAtEitherStation) {
    Overdue overdue;
    session::Exchange uncollected;
    session::Exchange running;
    overdue.add(running, 0);
    for (session::Exchange* exchange : overdue.collect()) overdue.await_interruption(*exchange);
    overdue.add(uncollected, 0);
    EXPECT_TRUE(overdue.forget(uncollected)) << "nobody has told of it";
    EXPECT_FALSE(overdue.forget(running));
    EXPECT_TRUE(overdue.empty());
    EXPECT_FALSE(overdue.take_running(running));
}

TEST(Overdue, WhatIsDealtWithIsVisitedNoMore) {
    Overdue overdue;
    session::Exchange one;
    session::Exchange two;
    overdue.await_interruption(one);
    overdue.await_interruption(two);
    overdue.visit_running([&](const session::Exchange& exchange) { return &exchange == &one; });
    EXPECT_FALSE(overdue.take_running(one));
    EXPECT_TRUE(overdue.take_running(two));
}

TEST(Overdue, WhoHasNotHeardIsInterruptedAgain) {
    Overdue overdue;
    session::Exchange lost;
    session::Exchange heard;
    for (session::Exchange* exchange : {&lost, &heard}) overdue.note_interrupted(*exchange);
    auto is_lost = [&](const session::Exchange& exchange) { return &exchange == &lost; };
    overdue.take_back(is_lost);
    EXPECT_FALSE(lost.interrupted);
    EXPECT_TRUE(heard.interrupted);
    EXPECT_FALSE(overdue.empty()) << "it rings again";
    EXPECT_TRUE(overdue.take_running(lost));
    overdue.take_back(is_lost);
    EXPECT_TRUE(overdue.empty()) << "it was taken back once";
}

TEST(Overdue, WhoHasEndedIsNotInterruptedAgain) {
    Overdue overdue;
    session::Exchange leaving;
    session::Exchange gone;
    for (session::Exchange* exchange : {&leaving, &gone}) overdue.note_interrupted(*exchange);
    leaving.leaving = true;
    EXPECT_FALSE(overdue.forget(gone)) << "somebody has told of it";
    overdue.take_back([](const session::Exchange&) { return true; });
    EXPECT_TRUE(overdue.empty());
}

}  // namespace
}  // namespace mono::engine
