#include "os/crash_handler.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/patience_test.hpp"

namespace mono::os {
namespace {

void say(void* context, bool asked) {
    char byte = asked ? 'p' : 'o';  // the parent, others
    [[maybe_unused]] ssize_t written = write(*static_cast<int*>(context), &byte, 1);
}

// What a child said before it died, and how it died.
struct End {
    std::string words;
    int status = 0;
};

template <class Life>
End child(Life life) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        life(ends[1]);
        _exit(99);
    }
    close(ends[1]);
    End end;
    char bytes[16];
    ssize_t got;
    while ((got = read(ends[0], bytes, sizeof bytes)) > 0)
        end.words.append(bytes, static_cast<size_t>(got));
    close(ends[0]);
    waitpid(pid, &end.status, 0);
    return end;
}

TEST(CrashHandler, SpeaksOnceAndLetsTheProcessDie) {
    for (int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) {
        End end = child([number](int out) {
            signal(number, SIG_DFL);  // a sanitizer's own
            install_crash_handler(say, &out);
            raise(number);
        });
        EXPECT_EQ(end.words, "o");
        EXPECT_TRUE(WIFSIGNALED(end.status)) << number;
        EXPECT_EQ(WTERMSIG(end.status), number);
    }
}

int other_out = -1;

TEST(CrashHandler, CallsWhoWasThereBefore) {
    End end = child([](int out) {
        other_out = out;
        signal(SIGABRT, [](int) {
            [[maybe_unused]] ssize_t written = write(other_out, "!", 1);
            _exit(7);
        });
        install_crash_handler(say, &out);
        raise(SIGABRT);
    });
    EXPECT_EQ(end.words, "o!");
    EXPECT_TRUE(WIFEXITED(end.status));
    EXPECT_EQ(WEXITSTATUS(end.status), 7);
}

TEST(CrashHandler, CanBeRemoved) {
    End end = child([](int out) {
        signal(SIGABRT, SIG_DFL);
        install_crash_handler(say, &out);
        int other = 0;
        remove_crash_handler(&other);
        remove_crash_handler(&out);
        raise(SIGABRT);
    });
    EXPECT_EQ(end.words, "");
    EXPECT_TRUE(WIFSIGNALED(end.status));
}

std::atomic<int> handled{0};

TEST(SignalSenders, AreNotedUnlessTheyAreTheParent) {
    static std::atomic<uint32_t> sender{0};
    End end = child([](int out) {
        struct sigaction action {};
        action.sa_handler = [](int) { ++handled; };
        sigaction(SIGTERM, &action, nullptr);
        note_signal_senders(&sender);
        pid_t grandchild = fork();
        if (grandchild == 0) {
            kill(getppid(), SIGTERM);
            _exit(0);
        }
        base::eventually([] { return handled != 0; });
        bool right = sender.load() == static_cast<uint32_t>(grandchild);
        [[maybe_unused]] ssize_t written = write(out, right ? "y" : "n", 1);
    });
    EXPECT_EQ(end.words, "y");
    EXPECT_EQ(sender.load(), 0u) << "that was the child's copy";
}

void mark(char what) { [[maybe_unused]] ssize_t written = write(other_out, &what, 1); }

TEST(SignalSenders, TermIsHeardWhateverItsHandlerIs) {
    static std::atomic<uint32_t> sender{0};
    End end = child([](int out) {
        other_out = out;
        signal(SIGTERM, [](int) { mark('1'); });
        note_signal_senders(&sender);
        signal(SIGTERM, [](int) { mark('2'); });  // an application that swallows it
        raise(SIGTERM);
        mark(take_term() ? 'y' : 'n');
        note_signal_senders(&sender);
        note_signal_senders(&sender);
        raise(SIGTERM);
        mark(take_term() ? 'y' : 'n');
        mark(take_term() ? 'y' : 'n');
    });
    EXPECT_EQ(end.words, "2n2yn");
}

struct sigaction saved;

TEST(SignalSenders, WhoCallsWhomItHasFoundDoesNotCallItself) {
    static std::atomic<uint32_t> sender{0};
    End end = child([](int out) {
        other_out = out;
        signal(SIGTERM, [](int) { mark('1'); });
        note_signal_senders(&sender);
        struct sigaction chained {};
        chained.sa_sigaction = [](int number, siginfo_t* info, void* machine) {
            mark('c');
            saved.sa_sigaction(number, info, machine);
        };
        chained.sa_flags = SA_SIGINFO;
        sigaction(SIGTERM, &chained, &saved);
        note_signal_senders(&sender);
        raise(SIGTERM);
    });
    EXPECT_EQ(end.words, "c1");
}

TEST(SignalSenders, WhatIsIgnoredLaterStaysIgnored) {
    static std::atomic<uint32_t> sender{0};
    End end = child([](int) {
        note_signal_senders(&sender);
        signal(SIGTERM, SIG_IGN);
        note_signal_senders(&sender);
        struct sigaction present {};
        sigaction(SIGTERM, nullptr, &present);
        _exit(present.sa_handler == SIG_IGN ? 7 : 8);
    });
    EXPECT_EQ(WEXITSTATUS(end.status), 7);
}

}  // namespace
}  // namespace mono::os
