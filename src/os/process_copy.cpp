#include "os/process_copy.hpp"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>

namespace mono::os {
namespace {

constexpr unsigned kSecondsMax = 2;
// What ends a copy that goes astray, rather than run a handler of ours.
constexpr std::array kEndings = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGALRM};

// Only system calls: another thread may have held any lock.
[[noreturn]] void handle_and_end(int number) {
    sigset_t blocked;
    sigfillset(&blocked);
    sigdelset(&blocked, number);
    for (int ending : kEndings) {
        ::signal(ending, SIG_DFL);
        sigdelset(&blocked, ending);
    }
    const rlimit no_core{0, 0};
    ::setrlimit(RLIMIT_CORE, &no_core);
    ::alarm(kSecondsMax);
    pthread_sigmask(SIG_SETMASK, &blocked, nullptr);
    ::kill(::getpid(), number);  // there is no other thread: handled before this returns
    ::_exit(0);
}

}  // namespace

bool handle_in_copy(int number) {
    // As fork(2), with no signal at its end.
    const auto child = static_cast<pid_t>(::syscall(SYS_clone, 0, 0, 0, 0, 0));
    if (child == 0) handle_and_end(number);
    if (child < 0) return false;
    int status = 0;
    while (::waitpid(child, &status, __WALL) < 0) {
        if (errno != EINTR) return false;
    }
    return WIFEXITED(status);
}

}  // namespace mono::os
