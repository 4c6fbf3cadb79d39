#include "base/chain.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace mono::base {
namespace {

std::string front(const Chain& chain) {
    iovec vectors[8];
    int count = chain.gather(vectors, 8);
    std::string text;
    for (int i = 0; i < count; ++i)
        text.append(static_cast<const char*>(vectors[i].iov_base), vectors[i].iov_len);
    return text;
}

TEST(Chain, KeepsOrderOverKindsOfPieces) {
    Chain chain;
    std::vector<Released> released;
    std::string shared = "shared";
    chain.append_copy("copy");
    chain.append_shared(shared, &shared);
    chain.append_copy("tail");
    EXPECT_EQ(front(chain), "copysharedtail");
    chain.consume(6, released);
    EXPECT_EQ(front(chain), "aredtail");
    EXPECT_TRUE(released.empty());
    chain.consume(4, released);
    ASSERT_EQ(released.size(), 1u);
    EXPECT_EQ(released[0].owner, &shared);
    EXPECT_EQ(chain.bytes(), 4u);
}

TEST(Chain, AFileStopsGatheringAndIsHandedBack) {
    Chain chain;
    std::vector<Released> released;
    chain.append_file(7, 100, 50);
    chain.append_copy("x");
    iovec vector;
    EXPECT_EQ(chain.gather(&vector, 1), 0);
    EXPECT_EQ(chain.front_file().offset, 100u);
    chain.consume(20, released);
    EXPECT_EQ(chain.front_file().offset, 120u);
    EXPECT_EQ(chain.front_file().length, 30u);
    chain.consume(30, released);
    ASSERT_EQ(released.size(), 1u);
    EXPECT_EQ(released[0].fd, 7);
    EXPECT_EQ(front(chain), "x");
}

// What is stored meanwhile leaves in the same order, and its owners come back.
TEST(Chain, TheEndMovesIntoAFile) {
    Chain chain;
    std::vector<Released> released;
    std::string shared = "shared";
    chain.append_copy("head");
    chain.append_shared(shared, &shared);
    chain.append_copy("tail");
    char bytes[12];
    const Chain::Tail tail = chain.copy_tail(bytes);
    EXPECT_EQ(std::string_view(bytes, tail.length), "adsharedtail");
    chain.append_copy("new");
    chain.store(tail, 7, 1000, std::make_shared<int>(), released);
    ASSERT_EQ(released.size(), 1u);
    EXPECT_EQ(released[0].owner, &shared);
    EXPECT_EQ(front(chain), "he");
    EXPECT_EQ(chain.memory_bytes(), 5u);
    EXPECT_EQ(chain.bytes(), 17u);
    chain.consume(2, released);
    EXPECT_EQ(chain.front_file().offset, 1000u);
    EXPECT_EQ(chain.front_file().length, 12u);
    chain.consume(12, released);
    EXPECT_EQ(front(chain), "new");
    EXPECT_EQ(released.size(), 1u) << "the descriptor is its keeper's";
}

TEST(Chain, PiecesAreStoredFromTheEndOn) {
    Chain chain;
    std::vector<Released> released;
    chain.append_copy("0123456789");
    char bytes[4];
    chain.store(chain.copy_tail(bytes), 7, 0, std::make_shared<int>(), released);
    const Chain::Tail second = chain.copy_tail(bytes);
    EXPECT_EQ(std::string_view(bytes, second.length), "2345");
    chain.store(second, 7, 4, std::make_shared<int>(), released);
    EXPECT_EQ(front(chain), "01");
    chain.consume(2, released);
    EXPECT_EQ(chain.front_file().offset, 4u);
    chain.consume(4, released);
    EXPECT_EQ(chain.front_file().offset, 0u);
    EXPECT_EQ(chain.copy_tail(bytes).length, 0u);
}

// While the file was written, the peer has read on.
TEST(Chain, WhatWasConsumedBeforeItWasStored) {
    for (uint64_t consumed : {2, 5, 8, 10, 12}) {
        Chain chain;
        std::vector<Released> released;
        std::string shared = "0123456789";
        chain.append_shared(shared, &shared);
        char bytes[4];
        const Chain::Tail tail = chain.copy_tail(bytes);
        chain.append_copy("more");
        chain.consume(consumed, released);
        chain.store(tail, 7, 100, std::make_shared<int>(), released);
        EXPECT_EQ(chain.bytes(), 14 - consumed);
        EXPECT_EQ(chain.memory_bytes() < chain.bytes(), consumed < 10) << consumed;
        EXPECT_EQ(released.size(), 1u) << "of the rest there is a copy";
        if (consumed < 6) chain.consume(6 - consumed, released);
        if (consumed < 10) {
            EXPECT_EQ(chain.front_file().offset, 100 + std::max<uint64_t>(consumed, 6) - 6);
            chain.consume(chain.front_file().length, released);
        }
        EXPECT_EQ(front(chain), consumed < 12 ? "more" : "re");
        EXPECT_EQ(released.size(), 1u);
    }
}

// However many pieces pass through a chain that is never empty, what is in it comes out in order.
TEST(Chain, ManyPiecesPassThrough) {
    Chain chain;
    std::vector<Released> released;
    const std::string piece(10, 'x');
    std::string expected;
    for (uint64_t i = 0; i < 1'000; ++i) {
        std::string number = std::to_string(i);
        chain.append_copy(number);
        chain.append_shared(piece, &expected);
        expected += number + piece;
        const size_t taken = std::min<size_t>(i * 7 % 29, expected.size());
        chain.consume(taken, released);
        expected.erase(0, taken);
        ASSERT_EQ(front(chain), expected.substr(0, front(chain).size()));
        ASSERT_EQ(chain.bytes(), expected.size());
    }
    chain.consume(expected.size(), released);
    EXPECT_TRUE(chain.empty());
    EXPECT_EQ(released.size(), 1'000u);
    chain.append_copy("again");
    EXPECT_EQ(front(chain), "again");
}

TEST(Chain, ClearHandsEveryOwnerBack) {
    Chain chain;
    std::vector<Released> released;
    int owner = 0;
    chain.append_shared("a", &owner);
    chain.append_file(9, 0, 1);
    chain.clear(released);
    EXPECT_EQ(released.size(), 2u);
    EXPECT_TRUE(chain.empty());
    EXPECT_EQ(chain.bytes(), 0u);
}

}  // namespace
}  // namespace mono::base
