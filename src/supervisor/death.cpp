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

std::string reason_text(Reason reason) {
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
        case Reason::kMemory:
            return "it took too much memory";
        case Reason::kStuck:
            return "it held requests past request_kill_timeout";
        case Reason::kOverstayed:
            return "it did not end in time after it had stopped taking requests";
        case Reason::kStop:
            return "the server stops";
    }
    return "";
}

int level_of(const Worker& worker, int status) {
    if (!WIFSIGNALED(status)) return WEXITSTATUS(status) == 0 ? kWarning : kError;
    // By the master's hand: the loud line was written when it decided to.
    if (worker.reason != Reason::kNone) return worker.overdue ? kWarning : kInfo;
    if (WTERMSIG(status) == SIGKILL) return kError;
    return WTERMSIG(status) == SIGTERM ? kInfo : kWarning;
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

std::string cause(const Worker& worker, int status) {
    if (WIFSIGNALED(status)) {
        std::string what = "was killed by " + signal_name(WTERMSIG(status));
        if (worker.reason != Reason::kNone) return what + ": " + reason_text(worker.reason);
        return WTERMSIG(status) == SIGKILL ? what + ", not by the master" : what;
    }
    if (ended_well(status)) return "left before it was ready";
    const std::string what = "exited with code " + std::to_string(WEXITSTATUS(status));
    return worker.aborted() ? what + ": " + reason_text(worker.reason) : what;
}

namespace {

// Of what the master asked for. Foreign worker classes (uvicorn's) send it to themselves again
// when they have drained, so that the process ends by it.
bool ended_as_told(const Worker& worker, int status) {
    if (!WIFSIGNALED(status) || !worker.asked() || worker.overdue) return false;
    const int number = WTERMSIG(status);
    return number == SIGTERM || number == SIGINT || number == SIGQUIT;
}

}  // namespace

Death explain(const Worker& worker, int status) {
    const bool quiet = worker.reason != Reason::kNone || worker.ready_ms != 0;
    if ((ended_well(status) && quiet) || ended_as_told(worker, status)) return {};
    return {level_of(worker, status),
            "Worker (pid:" + std::to_string(worker.pid) + ") " + cause(worker, status) + "."};
}

}  // namespace mono::supervisor
