#include "base/byte_queue.hpp"

#include <gtest/gtest.h>

#include <string>

namespace mono::base {
namespace {

TEST(ByteQueue, GivesInOrderWhatCame) {
    ByteQueue queue;
    std::string wanted;
    std::string got;
    for (size_t round = 0; round < 2'000; ++round) {
        const std::string piece(round * 7 % 97, static_cast<char>('a' + round % 26));
        queue.append(piece);
        wanted += piece;
        const size_t taken = std::min(queue.size(), round * 5 % 89);
        got += queue.view().substr(0, taken);
        queue.take(taken);
    }
    got += queue.view();
    EXPECT_EQ(got, wanted);
}

TEST(ByteQueue, TakingMovesNothing) {
    ByteQueue queue;
    queue.append(std::string(65'536, 'x'));
    const char* end = queue.view().data() + queue.size();
    for (size_t left = 65'536; left > 1; --left) {
        queue.take(1);
        ASSERT_EQ(queue.view().data() + queue.size(), end);
    }
}

// A queue that is never empty does not grow with what has passed through it.
TEST(ByteQueue, StaysAsSmallAsWhatItHolds) {
    ByteQueue queue;
    queue.append("0123456789");
    size_t moves = 0;
    for (int round = 0; round < 100'000; ++round) {
        const char* before = queue.view().data();
        queue.append("0123456789");
        if (queue.view().data() < before) ++moves;
        queue.take(10);
    }
    EXPECT_EQ(queue.size(), 10u);
    EXPECT_GT(moves, 0u);
}

TEST(ByteQueue, EmptyItKeepsNoMemory) {
    ByteQueue queue;
    queue.append("some");
    queue.take(4);
    EXPECT_TRUE(queue.empty());
    EXPECT_EQ(queue.view().data(), nullptr);
    queue.append("more");
    EXPECT_EQ(queue.view(), "more");
}

}  // namespace
}  // namespace mono::base
