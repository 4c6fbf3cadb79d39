#include "engine/ready_queue.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <random>
#include <vector>

namespace mono::engine {
namespace {

std::vector<int64_t> waiting(const ReadyQueue& queue) {
    std::vector<int64_t> times;
    for (const session::Exchange* at = queue.front(); at != nullptr; at = at->next)
        times.push_back(at->ready_us);
    return times;
}

TEST(ReadyQueue, TheLongestWaitIsInFront) {
    std::array<session::Exchange, 4> exchanges;
    ReadyQueue queue;
    EXPECT_TRUE(queue.empty());
    for (size_t i = 0; i < 4; ++i) {
        exchanges[i].ready_us = std::array{20, 30, 10, 25}[i];
        queue.push(exchanges[i]);
    }
    EXPECT_EQ(waiting(queue), (std::vector<int64_t>{10, 20, 25, 30}));
    EXPECT_EQ(queue.front(), &exchanges[2]);
    EXPECT_EQ(queue.size(), 4U);
}

TEST(ReadyQueue, OfOneMomentTheFirstIsInFront) {
    std::array<session::Exchange, 3> exchanges;
    ReadyQueue queue;
    for (session::Exchange& exchange : exchanges) queue.push(exchange);
    for (session::Exchange& exchange : exchanges) {
        EXPECT_EQ(queue.front(), &exchange);
        queue.remove(exchange);
    }
    EXPECT_TRUE(queue.empty());
}

TEST(ReadyQueue, WhoDoesNotWaitIsNotRemoved) {
    session::Exchange inside;
    session::Exchange outside;
    ReadyQueue queue;
    queue.push(inside);
    queue.remove(outside);
    EXPECT_EQ(queue.size(), 1U);
    queue.clear();
    queue.remove(inside);
    EXPECT_EQ(queue.size(), 0U);
}

TEST(ReadyQueue, AnyOrderOfComingAndGoing) {
    std::mt19937 random(7);
    std::array<session::Exchange, 16> exchanges;
    for (int history = 0; history < 200; ++history) {
        ReadyQueue queue;
        std::vector<session::Exchange*> inside;
        for (session::Exchange& exchange : exchanges) {
            exchange.ready_us = static_cast<int64_t>(random() % 8);
            queue.push(exchange);
            inside.push_back(&exchange);
            if (random() % 3 != 0) continue;
            const size_t gone = random() % inside.size();
            queue.remove(*inside[gone]);
            inside.erase(inside.begin() + static_cast<std::ptrdiff_t>(gone));
        }
        ASSERT_EQ(queue.size(), inside.size());
        const std::vector<int64_t> times = waiting(queue);
        ASSERT_EQ(times.size(), inside.size());
        ASSERT_TRUE(std::is_sorted(times.begin(), times.end()));
    }
}

}  // namespace
}  // namespace mono::engine
