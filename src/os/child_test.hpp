// A forked child of a test: it lives a function, and says at its end whether all went well.
#pragma once

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace mono::os {

// How a child that lives so ended: its exit code, which is what `life` returns, or minus the
// signal.
template <class Life>
int child(Life life) {
    const pid_t pid = fork();
    if (pid == 0) {
        alarm(20);
        _exit(life());
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

}  // namespace mono::os
