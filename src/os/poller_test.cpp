#include "os/poller.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <csignal>
#include <cstring>
#include <string>
#include <vector>

#include "os/wakeup.hpp"

namespace mono::os {
namespace {

struct Pair {
    Pair() {
        int ends[2] = {-1, -1};
        EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
        ours.reset(ends[0]);
        theirs.reset(ends[1]);
    }
    Fd ours;
    Fd theirs;
};

// What was told of one key.
enum Told : uint32_t { kRead = 1, kWrite = 2, kHangup = 4, kError = 8 };

// By key; keys are small numbers.
std::vector<uint32_t> wait(Poller& poller, size_t keys) {
    Ready ready[16];
    std::vector<uint32_t> seen(keys, 0);
    const int count = poller.wait(ready, 0);
    for (int at = 0; at < count; ++at) {
        const Ready& one = ready[at];
        seen.at(one.key) |= (one.readable ? kRead : 0u) | (one.writable ? kWrite : 0u) |
                            (one.hangup ? kHangup : 0u) | (one.error ? kError : 0u);
    }
    return seen;
}

TEST(Poller, AStreamReportsEdgesNotLevels) {
    Poller poller;
    ASSERT_TRUE(poller.ok());
    Pair pair;
    ASSERT_TRUE(poller.add_stream(pair.ours.get(), 0));
    EXPECT_EQ(wait(poller, 1)[0], uint32_t{kWrite});  // adding tells the state
    EXPECT_EQ(wait(poller, 1)[0], 0u);
    ASSERT_EQ(::write(pair.theirs.get(), "ab", 2), 2);
    EXPECT_NE(wait(poller, 1)[0] & kRead, 0u);
    EXPECT_EQ(wait(poller, 1)[0], 0u);  // unread, and not said again
    ASSERT_EQ(::write(pair.theirs.get(), "c", 1), 1);
    EXPECT_NE(wait(poller, 1)[0] & kRead, 0u);
    pair.theirs.reset();
    EXPECT_NE(wait(poller, 1)[0] & kHangup, 0u);
}

TEST(Poller, RemindSaysAgainWhatIsStillSo) {
    Poller poller;
    Pair pair;
    ASSERT_TRUE(poller.add_stream(pair.ours.get(), 0));
    ASSERT_EQ(::write(pair.theirs.get(), "ab", 2), 2);
    EXPECT_NE(wait(poller, 1)[0] & kRead, 0u);
    EXPECT_EQ(wait(poller, 1)[0], 0u);
    ASSERT_TRUE(poller.remind(pair.ours.get(), 0));
    EXPECT_EQ(wait(poller, 1)[0], uint32_t{kRead | kWrite});
    EXPECT_EQ(wait(poller, 1)[0], 0u);
    EXPECT_FALSE(poller.remind(pair.theirs.get(), 0));  // never added
}

TEST(Poller, AReaderReportsLevels) {
    Poller poller;
    Wakeup wakeup;
    ASSERT_TRUE(poller.add_reader(wakeup.reader(), 1, false));
    EXPECT_EQ(wait(poller, 2)[1], 0u);
    wakeup.ring();
    EXPECT_EQ(wait(poller, 2)[1], uint32_t{kRead});
    EXPECT_EQ(wait(poller, 2)[1], uint32_t{kRead});
    poller.remove(wakeup.reader());
    EXPECT_EQ(wait(poller, 2)[1], 0u);
    ASSERT_TRUE(poller.add_reader(wakeup.reader(), 1, true));
    EXPECT_NE(wait(poller, 2)[1], 0u);
}

TEST(Poller, AddingTwiceOrNothingFails) {
    Poller poller;
    Pair pair;
    ASSERT_TRUE(poller.add_stream(pair.ours.get(), 0));
    EXPECT_FALSE(poller.add_stream(pair.ours.get(), 0));
    EXPECT_FALSE(poller.add_stream(-1, 0));
    EXPECT_FALSE(poller.add_reader(-1, 0, false));
}

TEST(Poller, ASignalEndsTheWait) {
    Poller poller;
    struct sigaction action {};
    action.sa_handler = [](int) {};
    struct sigaction before {};
    ASSERT_EQ(sigaction(SIGALRM, &action, &before), 0);
    alarm(1);
    Ready ready[1];
    EXPECT_EQ(poller.wait(ready, 10'000), -1);
    sigaction(SIGALRM, &before, nullptr);
}

TEST(Poller, WaitReadableTellsWhichOneItWas) {
    Poller poller;
    Wakeup inside;
    Wakeup kick;
    ASSERT_TRUE(poller.add_reader(inside.reader(), 0, false));
    EXPECT_FALSE(wait_readable(poller.fd(), kick.reader(), 0));
    kick.ring();
    EXPECT_FALSE(wait_readable(poller.fd(), kick.reader(), 10'000));
    inside.ring();
    EXPECT_TRUE(wait_readable(poller.fd(), kick.reader(), 10'000));
    EXPECT_TRUE(wait_readable(poller.fd(), kick.reader(), 10'000)) << "it took the event away";
    EXPECT_NE(wait(poller, 1)[0], 0u);
}

TEST(Wakeup, NothingIsLostAndOneDrainTakesAll) {
    Wakeup wakeup;
    ASSERT_TRUE(wakeup.ok());
    for (int i = 0; i < 100'000; ++i) wakeup.ring();  // more than a pipe holds: never blocks
    EXPECT_TRUE(wait_readable(wakeup.reader(), -1, 0));
    wakeup.drain();
    EXPECT_FALSE(wait_readable(wakeup.reader(), -1, 0));
    wakeup.drain();  // on an empty one: does not block either
    wakeup.ring();
    EXPECT_TRUE(wait_readable(wakeup.reader(), -1, 0));
}

TEST(Wakeup, DrainsACountThatFillsItsBufferExactly) {
    Wakeup wakeup;
    for (int i = 0; i < 512; ++i) wakeup.ring();
    wakeup.drain();
    EXPECT_FALSE(wait_readable(wakeup.reader(), -1, 0));
}

TEST(Wakeup, ItsEndsAreClosedOnExecAndDoNotBlock) {
    Wakeup wakeup;
    for (int fd : {wakeup.reader(), wakeup.writer()}) {
        EXPECT_NE(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
        EXPECT_NE(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);  // what signal.set_wakeup_fd demands
    }
}

}  // namespace
}  // namespace mono::os
