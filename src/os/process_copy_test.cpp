#include "os/process_copy.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <thread>

#include "os/shm.hpp"

namespace mono::os {
namespace {

struct Seen {
    std::atomic<int> handled;
    std::atomic<int> pid;
};

Seen* seen = nullptr;
int here = 0;

void handle_with(void (*handler)(int)) {
    struct sigaction action {};
    action.sa_handler = handler;
    ASSERT_EQ(sigaction(SIGRTMIN + 6, &action, nullptr), 0);
}

TEST(ProcessCopy, HandlesTheSignalThere) {
    SharedMemory memory(sizeof(Seen));
    seen = static_cast<Seen*>(memory.data());
    here = 0;
    handle_with([](int) {
        here = 1;
        ++seen->handled;
        seen->pid = ::getpid();
    });
    bool done = false;
    std::thread([&] { done = handle_in_copy(SIGRTMIN + 6); }).join();
    EXPECT_TRUE(done);
    EXPECT_EQ(seen->handled, 1);
    EXPECT_NE(seen->pid, ::getpid());
    EXPECT_EQ(here, 0) << "this process has its own memory";
    EXPECT_EQ(::waitpid(-1, nullptr, __WALL), -1);
    EXPECT_EQ(errno, ECHILD) << "nothing is left of it";
}

TEST(ProcessCopy, ItsDeathIsItsOwn) {
    handle_with([](int) { ::kill(::getpid(), SIGSEGV); });
    EXPECT_FALSE(handle_in_copy(SIGRTMIN + 6));
}

TEST(ProcessCopy, DoesNotLastForEver) {
    handle_with([](int) {
        for (;;) ::pause();
    });
    EXPECT_FALSE(handle_in_copy(SIGRTMIN + 6));
}

}  // namespace
}  // namespace mono::os
