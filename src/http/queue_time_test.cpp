#include "http/queue_time.hpp"

#include <gtest/gtest.h>

#include <string>

namespace mono::http {
namespace {

constexpr int64_t kThenUs = 1'719'400'000'123'456;

TEST(ParseQueueStart, EveryFormatInTheWild) {
    const std::pair<const char*, int64_t> cases[] = {
        {"t=1719400000.123", 1'719'400'000'123'000},  // nginx
        {"1719400000.123", 1'719'400'000'123'000},    //
        {"1719400000", 1'719'400'000'000'000},        // seconds
        {"1719400000.", 1'719'400'000'000'000},       //
        {"1719400000.5", 1'719'400'000'500'000},      //
        {"1719400000.1234567", kThenUs},              //
        {"1719400000123", 1'719'400'000'123'000},     // Heroku
        {"t=1719400000123", 1'719'400'000'123'000},   //
        {"1719400000123.456", kThenUs},               //
        {"1719400000123456", kThenUs},                //
        {"t=1719400000123456", kThenUs},              // Apache
        {"1719400000123456789", kThenUs},             // nanoseconds
        {"t=1719400000.123, t=1719400000.456", 1'719'400'000'123'000},
        {"1719400000.123 ,1", 1'719'400'000'123'000},
    };
    for (const auto& [text, expected] : cases) EXPECT_EQ(parse_queue_start(text), expected) << text;
}

TEST(ParseQueueStart, IsNothingForAnythingElse) {
    for (const char* text :
         {"", "t=", "t", ",1719400000", "soon", "-1719400000", "+1719400000", "1719400000s",
          "1719400000.12x", "1719400000.1.2", "1.7e9", "t=t=1719400000", "T=1719400000", "0",
          "t=${msec}", "(null)", "99999999999999999999", "18446744073709551615", "1719400000 1"})
        EXPECT_EQ(parse_queue_start(text), 0) << text;
}

TEST(QueueTime, IsWhatLiesBetween) {
    EXPECT_EQ(queue_time_us("t=1719400000.123", kThenUs), 456);
    EXPECT_EQ(queue_time_us("1719400000123456", kThenUs), 0);
}

TEST(QueueTime, ClocksThatDisagreeSayNothing) {
    EXPECT_EQ(queue_time_us("1719400000123457", kThenUs), -1);  // the future
    EXPECT_EQ(queue_time_us("1719400000123456", kThenUs + kQueueTimeMaxUs), kQueueTimeMaxUs);
    EXPECT_EQ(queue_time_us("1719400000123456", kThenUs + kQueueTimeMaxUs + 1), -1);
    EXPECT_EQ(queue_time_us("5", kThenUs), -1);
    EXPECT_EQ(queue_time_us("soon", kThenUs), -1);
}

}  // namespace
}  // namespace mono::http
