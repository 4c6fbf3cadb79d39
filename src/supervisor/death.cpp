#include "supervisor/death.hpp"

#include <sys/wait.h>

#include <csignal>

namespace mono::supervisor {
namespace {

struct Named {
    int number;
    std::string_view name;
};

// sigabbrev_np() would need glibc 2.32; musl has none.
constexpr Named kSignals[] = {
    {SIGHUP, "HUP"},   {SIGINT, "INT"},     {SIGQUIT, "QUIT"}, {SIGILL, "ILL"},   {SIGTRAP, "TRAP"},
    {SIGABRT, "ABRT"}, {SIGBUS, "BUS"},     {SIGFPE, "FPE"},   {SIGKILL, "KILL"}, {SIGUSR1, "USR1"},
    {SIGSEGV, "SEGV"}, {SIGUSR2, "USR2"},   {SIGPIPE, "PIPE"}, {SIGALRM, "ALRM"}, {SIGTERM, "TERM"},
    {SIGCHLD, "CHLD"}, {SIGTTIN, "TTIN"},   {SIGTTOU, "TTOU"}, {SIGXCPU, "XCPU"}, {SIGXFSZ, "XFSZ"},
    {SIGSYS, "SYS"},   {SIGWINCH, "WINCH"},
};

std::string_view reason_text(Reason reason) {
    switch (reason) {
        case Reason::kNone:
            return "";
        case Reason::kSurplus:
            return "more workers than wanted";
        case Reason::kReplaced:
            return "replaced by a newer worker";
        case Reason::kTimeout:
            return "its heartbeat stopped";
        case Reason::kBootTimeout:
            return "it did not become ready in time";
        case Reason::kStop:
            return "the server stops";
    }
    return "";
}

std::string subject(const Worker& worker) {
    return "Worker (pid:" + std::to_string(worker.pid) + ")";
}

Death by_signal(const Worker& worker, int number) {
    const std::string what = subject(worker) + " was killed by " + signal_name(number);
    if (worker.reason != Reason::kNone) {
        // By the master's hand: the loud line was written when it decided to.
        const int level = worker.overdue ? kWarning : kInfo;
        return {level, what + ": " + std::string(reason_text(worker.reason))};
    }
    if (number == SIGKILL) {
        return {kError, what + ", not by the master: perhaps the system is out of memory"};
    }
    return {number == SIGTERM ? kInfo : kWarning, what};
}

}  // namespace

std::string signal_name(int number) {
    for (const Named& named : kSignals) {
        if (named.number == number) return "SIG" + std::string(named.name);
    }
    return "signal " + std::to_string(number);
}

std::string short_signal_name(int number) {
    for (const Named& named : kSignals) {
        if (named.number != number) continue;
        std::string name(named.name);
        for (char& letter : name) {
            if (letter >= 'A' && letter <= 'Z') letter = static_cast<char>(letter - 'A' + 'a');
        }
        return name;
    }
    return std::to_string(number);
}

bool exited_with(int status, int code) { return WIFEXITED(status) && WEXITSTATUS(status) == code; }

bool ended_well(int status) { return exited_with(status, 0); }

bool ended_by_others(int status) {
    if (!WIFSIGNALED(status)) return false;
    switch (WTERMSIG(status)) {
        case SIGKILL:
        case SIGTERM:
        case SIGINT:
        case SIGQUIT:
        case SIGHUP:
        case SIGUSR1:
        case SIGUSR2:
            return true;
        default:
            return false;
    }
}

Death explain(const Worker& worker, int status) {
    if (WIFSIGNALED(status)) return by_signal(worker, WTERMSIG(status));
    if (!ended_well(status)) {
        return {kError,
                subject(worker) + " exited with code " + std::to_string(WEXITSTATUS(status)) + "."};
    }
    if (worker.reason == Reason::kNone && worker.ready_ms == 0) {
        return {kWarning, subject(worker) + " left before it was ready"};
    }
    return {};
}

}  // namespace mono::supervisor
