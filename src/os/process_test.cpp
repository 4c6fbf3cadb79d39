#include "os/process.hpp"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <set>
#include <string_view>

#include "os/shm.hpp"

namespace mono::os {
namespace {

TEST(Process, TheParentsDeathIsTheChildsToo) {
    int fds[2];
    ASSERT_EQ(::pipe(fds), 0);
    const pid_t middle = ::fork();
    if (middle == 0) {
        if (::fork() == 0) {
            if (!set_parent_death_signal(SIGKILL)) ::_exit(1);
            if (parent_death_signal() != SIGKILL) ::_exit(1);
            if (::write(fds[1], "x", 1) != 1) ::_exit(1);
            for (;;) ::pause();
        }
        for (;;) ::pause();
    }
    ::close(fds[1]);
    char byte = 0;
    ASSERT_EQ(::read(fds[0], &byte, 1), 1);
    ::kill(middle, SIGKILL);
    ::waitpid(middle, nullptr, 0);
    // The grandchild held the pipe's other end: end of file proves that it is gone.
    EXPECT_EQ(::read(fds[0], &byte, 1), 0);
    ::close(fds[0]);
}

TEST(RandomNumber, DiffersEachTime) {
    std::set<uint64_t> seen;
    for (int i = 0; i < 100; ++i) seen.insert(random_number());
    EXPECT_EQ(seen.size(), 100U);
}

TEST(SharedMemory, AChildsWritesAreSeen) {
    SharedMemory memory(10'000);
    ASSERT_NE(memory.data(), nullptr);
    EXPECT_EQ(memory.bytes(), 10'000U);
    auto* number = static_cast<int*>(memory.data());
    EXPECT_EQ(*number, 0);
    const pid_t child = ::fork();
    if (child == 0) {
        *number = 42;
        ::_exit(0);
    }
    ::waitpid(child, nullptr, 0);
    EXPECT_EQ(*number, 42);
    SharedMemory moved(std::move(memory));
    EXPECT_EQ(moved.data(), number);
}

TEST(OpenFiles, AreCounted) {
    const uint64_t before = open_files();
    const int fd = ::dup(0);
    EXPECT_EQ(open_files(), before + 1);
    ::close(fd);
    EXPECT_EQ(open_files(), before);
}

TEST(OpenFiles, TheSoftLimitIsRaisedToTheHardOne) {
    rlimit before{};
    ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
    rlimit lower = before;
    lower.rlim_cur = before.rlim_max / 2;
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &lower), 0);
    EXPECT_TRUE(raise_open_files_max());
    EXPECT_EQ(open_files_max(), before.rlim_max);
    EXPECT_FALSE(raise_open_files_max());
    setrlimit(RLIMIT_NOFILE, &before);
}

TEST(Process, KnowsByWhichNameItWasStarted) {
    EXPECT_TRUE(std::string_view(started_as()).ends_with("os_test")) << started_as();
}

}  // namespace
}  // namespace mono::os
