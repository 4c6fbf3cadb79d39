#include "base/chain.hpp"

#include <gtest/gtest.h>

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
    chain.append_file(7, 100, 50, true);
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

TEST(Chain, AdjacentRangesOfASpillFileBecomeOne) {
    Chain chain;
    chain.append_file(7, 0, 10, false);
    chain.append_file(7, 10, 5, false);
    EXPECT_EQ(chain.front_file().length, 15u);
    EXPECT_EQ(chain.memory_bytes(), 0u);
}

TEST(Chain, ClearHandsEveryOwnerBack) {
    Chain chain;
    std::vector<Released> released;
    int owner = 0;
    chain.append_shared("a", &owner);
    chain.append_file(9, 0, 1, true);
    chain.clear(released);
    EXPECT_EQ(released.size(), 2u);
    EXPECT_TRUE(chain.empty());
    EXPECT_EQ(chain.bytes(), 0u);
}

}  // namespace
}  // namespace mono::base
