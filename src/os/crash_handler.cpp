#include "os/crash_handler.hpp"

#include <signal.h>
#include <unistd.h>

#include <array>
#include <cstddef>

namespace mono::os {
namespace {

constexpr std::array kDeadly = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
constexpr std::array kNoted = {SIGTERM, SIGINT, SIGQUIT};

std::atomic<LastWords> last_words{nullptr};
std::atomic<void*> words_context{nullptr};
std::array<struct sigaction, kDeadly.size()> before_deadly;
std::atomic<std::atomic<uint32_t>*> noted_sender{nullptr};
std::array<struct sigaction, kNoted.size()> before_noted;

void note_sender(const siginfo_t* info) {
    std::atomic<uint32_t>* sender = noted_sender.load();
    bool from_process = info->si_code == SI_USER && info->si_pid != getppid();
    if (sender != nullptr && from_process) sender->store(static_cast<uint32_t>(info->si_pid));
}

void on_deadly(int number, siginfo_t* info, void*) {
    note_sender(info);
    for (size_t i = 0; i < kDeadly.size(); ++i) {
        if (kDeadly[i] == number) sigaction(number, &before_deadly[i], nullptr);
    }
    LastWords words = last_words.exchange(nullptr);
    if (words != nullptr)
        words(words_context.load(), info->si_code == SI_USER && info->si_pid == getppid());
    // Blocked while this handler runs: it strikes again, elsewhere, when we return.
    raise(number);
}

void on_noted(int number, siginfo_t* info, void* machine) {
    note_sender(info);
    for (size_t i = 0; i < kNoted.size(); ++i) {
        const struct sigaction& before = before_noted[i];
        if (kNoted[i] != number || before.sa_handler == SIG_IGN) continue;
        if ((before.sa_flags & SA_SIGINFO) != 0) {
            before.sa_sigaction(number, info, machine);
        } else if (before.sa_handler != SIG_DFL) {
            before.sa_handler(number);
        } else {
            sigaction(number, &before, nullptr);
            raise(number);
        }
    }
}

}  // namespace

void install_crash_handler(LastWords words, void* context) {
    words_context.store(context);
    last_words.store(words);
    struct sigaction action {};
    action.sa_sigaction = on_deadly;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < kDeadly.size(); ++i) {
        struct sigaction present {};
        sigaction(kDeadly[i], nullptr, &present);
        if (present.sa_sigaction == on_deadly) continue;
        before_deadly[i] = present;
        sigaction(kDeadly[i], &action, nullptr);
    }
}

void remove_crash_handler(const void* context) {
    if (words_context.load() == context) last_words.store(nullptr);
}

void forget_crash_handler() {
    last_words.store(nullptr);
    noted_sender.store(nullptr);
    struct sigaction plain {};
    plain.sa_handler = SIG_DFL;
    for (size_t i = 0; i < kDeadly.size(); ++i) {
        before_deadly[i] = plain;
        sigaction(kDeadly[i], &plain, nullptr);
    }
    for (struct sigaction& before : before_noted) before = plain;
}

void note_signal_senders(std::atomic<uint32_t>* sender) {
    noted_sender.store(sender);
    struct sigaction action {};
    action.sa_sigaction = on_noted;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < kNoted.size(); ++i) {
        struct sigaction present {};
        sigaction(kNoted[i], nullptr, &present);
        if (present.sa_sigaction == on_noted) continue;
        before_noted[i] = present;
        action.sa_flags = SA_SIGINFO | (present.sa_flags & (SA_RESTART | SA_ONSTACK));
        sigaction(kNoted[i], &action, nullptr);
    }
}

}  // namespace mono::os
