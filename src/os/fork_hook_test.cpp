#include "os/fork_hook.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <string>

#include "os/child_test.hpp"
#include "os/crash_handler.hpp"
#include "os/shm.hpp"

namespace mono::os {
namespace {

// A process that serves, as a worker does: what is kept from its children concerns nobody else.
template <class Life>
void worker(Life life) {
    EXPECT_EQ(child([&] {
                  life();
                  return ::testing::Test::HasFailure() ? 1 : 0;
              }),
              0);
}

constexpr std::array kSignals = {SIGTERM, SIGUSR1};

TEST(ForkHook, ASignalThatIsSentAtOnceMeetsItsDefault) {
    worker([] {
        signal(SIGTERM, [](int) {});
        ASSERT_TRUE(keep_from_children({.signals = kSignals}));
        for (int i = 0; i < 50; ++i) {
            const pid_t pid = fork();
            if (pid == 0) {
                alarm(20);
                while (true) pause();
            }
            kill(pid, SIGTERM);
            int status = 0;
            waitpid(pid, &status, 0);
            ASSERT_TRUE(WIFSIGNALED(status));
            ASSERT_EQ(WTERMSIG(status), SIGTERM);
        }
        raise(SIGTERM);  // still handled here
    });
}

TEST(ForkHook, IgnoredSignalsStayIgnoredAndTheMaskIsKept) {
    worker([] {
        signal(SIGUSR1, SIG_IGN);
        sigset_t blocked;
        sigemptyset(&blocked);
        sigaddset(&blocked, SIGUSR2);
        sigprocmask(SIG_SETMASK, &blocked, nullptr);
        ASSERT_TRUE(keep_from_children({.signals = kSignals}));
        auto same = [] {
            raise(SIGUSR1);
            sigset_t now;
            sigprocmask(SIG_SETMASK, nullptr, &now);
            return sigismember(&now, SIGUSR2) == 1 && sigismember(&now, SIGTERM) == 0 ? 0 : 1;
        };
        EXPECT_EQ(child(same), 0);
        EXPECT_EQ(same(), 0);
    });
}

int words_out = -1;

TEST(ForkHook, ACrashingChildHasNoLastWords) {
    worker([] {
        int ends[2];
        ASSERT_EQ(pipe2(ends, O_NONBLOCK), 0);
        words_out = ends[1];
        for (int number : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL})  // as faulthandler is there
            signal(number, [](int) { [[maybe_unused]] ssize_t put = write(words_out, "f", 1); });
        install_crash_handler(
            [](void*, bool) { [[maybe_unused]] ssize_t put = write(words_out, "w", 1); }, nullptr);
        ASSERT_TRUE(keep_from_children({}));
        for (int number : {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL})
            EXPECT_EQ(child([number] { return raise(number); }), -number);
        char byte;
        EXPECT_EQ(read(ends[0], &byte, 1), -1) << byte;
    });
}

TEST(ForkHook, SharedMemoryIsNotSharedWithAChild) {
    worker([] {
        const SharedMemory memory(4096);
        auto* number = static_cast<volatile int*>(memory.data());
        *number = 7;
        ASSERT_TRUE(keep_from_children({.memory = memory.data(), .memory_bytes = memory.bytes()}));
        EXPECT_EQ(child([&] {
                      int seen = *number;
                      *number = 8;
                      return seen;
                  }),
                  0);
        EXPECT_EQ(*number, 7);
    });
}

TEST(ForkHook, DescriptorsStayTakenAndLeadNowhere) {
    worker([] {
        int ends[2];
        ASSERT_EQ(pipe2(ends, O_NONBLOCK), 0);
        int old = open("/dev/null", O_RDONLY);
        const std::array kept = {ends[1], old};
        ASSERT_TRUE(keep_from_children({.descriptors = kept}));
        ASSERT_EQ(dup2(ends[0], old), old);  // the number is somebody else's now
        EXPECT_EQ(child([&] {
                      if (write(ends[1], "x", 1) == 1) return 1;
                      if (fcntl(ends[1], F_GETFD) != FD_CLOEXEC) return 2;
                      char byte;
                      return read(old, &byte, 1) < 0 && errno == EINVAL ? 3 : 0;
                  }),
                  0);
        EXPECT_EQ(write(ends[1], "y", 1), 1);
    });
}

TEST(ForkHook, AnEpollSetIsNotChangedByAChild) {
    worker([] {
        int ends[2];
        ASSERT_EQ(pipe(ends), 0);
        const int epoll = epoll_create1(0);
        epoll_event event{.events = EPOLLIN, .data = {.u64 = 5}};
        ASSERT_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, ends[0], &event), 0);
        const std::array epolls = {epoll};
        ASSERT_TRUE(keep_from_children({.epolls = epolls}));
        EXPECT_EQ(child([&] {
                      epoll_ctl(epoll, EPOLL_CTL_DEL, ends[0], nullptr);
                      return epoll_wait(epoll, &event, 1, 0);
                  }),
                  0);
        ASSERT_EQ(write(ends[1], "x", 1), 1);
        EXPECT_EQ(epoll_wait(epoll, &event, 1, 1'000), 1);
    });
}

struct Party final : ForkParty {
    void before_fork() override { said += 'b'; }
    void after_fork_in_parent() override { said += 'p'; }
    void after_fork_in_child() override { said += 'c'; }
    std::string said;
};

TEST(ForkHook, PartiesHearOfForksUntilTheyPart) {
    Party party;
    ASSERT_TRUE(join_forks(party));
    EXPECT_EQ(child([&] {
                  if (party.said != "bc") return 1;
                  child([] { return 0; });  // a grandchild is no matter of ours
                  return party.said == "bc" ? 0 : 2;
              }),
              0);
    EXPECT_EQ(party.said, "bp");
    part_from_forks(party);
    child([] { return 0; });
    EXPECT_EQ(party.said, "bp");
}

TEST(ForkHook, TheServersOwnChildrenGetItAll) {
    worker([] {
        signal(SIGTERM, [](int) {});
        ASSERT_TRUE(keep_from_children({.signals = kSignals}));
        begin_own_fork();
        EXPECT_EQ(child([] {
                      end_own_fork();
                      raise(SIGTERM);
                      return child([] { return raise(SIGTERM); }) == -SIGTERM ? 0 : 1;
                  }),
                  0);
        end_own_fork();
        EXPECT_EQ(child([] { return raise(SIGTERM); }), -SIGTERM);
    });
}

}  // namespace
}  // namespace mono::os
