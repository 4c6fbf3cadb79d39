#include "engine/recorder.hpp"

#include <gtest/gtest.h>

#include <memory>

namespace mono::engine {
namespace {

using board::FlightPhase;
using session::Exchange;

std::unique_ptr<Exchange> request(const std::string& line) {
    auto exchange = std::make_unique<Exchange>();
    exchange->bytes.append(line);
    exchange->head.method = {0, 3};
    exchange->head.target = {4, static_cast<uint32_t>(line.size() - 4)};
    exchange->started_us = 7;
    exchange->peer.host = "::1";
    return exchange;
}

TEST(Recorder, ALifeLeavesNothingBehind) {
    Recorder recorder(nullptr);
    auto exchange = request("GET /a");
    recorder.begin(*exchange, 12);
    const board::Flight& flight = recorder.slot().flights[0];
    EXPECT_EQ(flight.phase, FlightPhase::kQueued);
    EXPECT_EQ(flight.fd, 12);
    EXPECT_EQ(flight.began_us, 7);
    EXPECT_EQ(flight.target.view(), "/a");
    exchange->handed_out = true;
    recorder.dispatch(*exchange, 9);
    EXPECT_EQ(flight.phase, FlightPhase::kRunning);
    recorder.respond(*exchange);
    EXPECT_EQ(flight.phase, FlightPhase::kResponding);
    exchange->handed_out = false;
    recorder.end(*exchange, Ending::kAnswered);
    recorder.end(*exchange, Ending::kAborted);  // too late to count
    EXPECT_EQ(flight.phase, FlightPhase::kFree);
    EXPECT_EQ(recorder.slot().in_flight, 0u);
    EXPECT_EQ(recorder.totals().accepted, 1u);
    EXPECT_EQ(recorder.totals().answered, 1u);
    EXPECT_EQ(recorder.totals().aborted, 0u);
}

TEST(Recorder, WhatTheApplicationHoldsIsInFlightAfterItsEnd) {
    Recorder recorder(nullptr);
    auto exchange = request("GET /a");
    recorder.begin(*exchange, 12);
    exchange->handed_out = true;
    recorder.overdue(*exchange, 20, false);
    recorder.end(*exchange, Ending::kRefused);
    recorder.overdue(*exchange, 30, true);
    EXPECT_EQ(recorder.slot().in_flight, 1u);
    EXPECT_EQ(recorder.slot().overdue, 1u);
    EXPECT_EQ(recorder.slot().stuck, 1u);
    EXPECT_EQ(recorder.slot().flights[0].overdue_us, 20);
    recorder.leave(*exchange);
    EXPECT_EQ(recorder.slot().in_flight, 0u);
    EXPECT_EQ(recorder.slot().overdue, 0u);
    EXPECT_EQ(recorder.slot().stuck, 0u);
    EXPECT_EQ(recorder.totals().refused, 1u);
}

TEST(Recorder, MoreThanThereAreRecordsForAreCounted) {
    Recorder recorder(nullptr);
    std::vector<std::unique_ptr<Exchange>> many;
    for (uint32_t i = 0; i < board::kFlightsMax + 10; ++i) {
        many.push_back(request("GET /" + std::to_string(i)));
        recorder.begin(*many.back(), static_cast<int>(i));
        recorder.dispatch(*many.back(), 1);
    }
    EXPECT_EQ(recorder.slot().in_flight, board::kFlightsMax + 10);
    for (auto& exchange : many) recorder.end(*exchange, Ending::kAnswered);
    EXPECT_EQ(recorder.slot().in_flight, 0u);
    EXPECT_EQ(recorder.slot().flights_used, board::kFlightsMax);
    auto again = request("GET /again");
    recorder.begin(*again, 1);
    EXPECT_NE(again->flight, Exchange::kNoFlight);
    recorder.hand_over(*again);
    EXPECT_EQ(recorder.totals().accepted, board::kFlightsMax + 10);
}

}  // namespace
}  // namespace mono::engine
