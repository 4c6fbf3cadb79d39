#include "engine/listeners.hpp"

#include <gtest/gtest.h>

#include <array>

#include "engine/link.hpp"
#include "os/wakeup.hpp"

namespace mono::engine {
namespace {

// Readable descriptors stand for sockets with somebody in their queue.
struct Watched {
    int told() {
        std::array<os::Ready, 4> ready;
        const int count = poller.wait(ready, 0);
        for (int i = 0; i < count; ++i)
            EXPECT_NE(ready[static_cast<size_t>(i)].key & kListenerKey, 0U);
        return count;
    }
    os::Poller poller;
    os::Wakeup one;
    os::Wakeup two;
    Listeners listeners{poller, false};
};

TEST(Listeners, AreWatchedUntilPaused) {
    Watched watched;
    ASSERT_TRUE(watched.listeners.add(watched.one.reader()));
    ASSERT_TRUE(watched.listeners.add(watched.two.reader()));
    EXPECT_FALSE(watched.listeners.anybody_waits());
    watched.two.ring();
    EXPECT_TRUE(watched.listeners.anybody_waits());
    EXPECT_EQ(watched.told(), 1);
    EXPECT_TRUE(watched.listeners.pause());
    EXPECT_FALSE(watched.listeners.pause()) << "they were not watched";
    EXPECT_EQ(watched.told(), 0);
    EXPECT_TRUE(watched.listeners.resume());
    EXPECT_EQ(watched.told(), 1);
}

TEST(Listeners, RestUntilTheirTime) {
    Watched watched;
    EXPECT_FALSE(watched.listeners.resting());
    watched.listeners.rest_until(1'000);
    EXPECT_TRUE(watched.listeners.resting());
    EXPECT_FALSE(watched.listeners.rested(999));
    EXPECT_TRUE(watched.listeners.rested(1'000));
    watched.listeners.end_rest();
    EXPECT_FALSE(watched.listeners.rested(2'000));
}

TEST(Listeners, WhatCannotBeWatchedIsTold) {
    Watched watched;
    EXPECT_FALSE(watched.listeners.add(-1));
    watched.listeners.pause();
    EXPECT_FALSE(watched.listeners.resume());
}

}  // namespace
}  // namespace mono::engine
