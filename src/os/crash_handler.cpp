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
// A handler that was set since the first call may call ours, as who was there before: while one is
// called, such a call goes on to whom we met first.
std::array<struct sigaction, kNoted.size()> before_noted;
std::array<struct sigaction, kNoted.size()> first_noted;
std::array<std::atomic<bool>, kNoted.size()> chaining{};
std::atomic<bool> term_came{false};

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

void call(const struct sigaction& handler, int number, siginfo_t* info, void* machine) {
    if (handler.sa_handler == SIG_IGN) return;
    if ((handler.sa_flags & SA_SIGINFO) != 0) {
        handler.sa_sigaction(number, info, machine);
    } else if (handler.sa_handler != SIG_DFL) {
        handler.sa_handler(number);
    } else {
        sigaction(number, &handler, nullptr);
        raise(number);
    }
}

void on_noted(int number, siginfo_t* info, void* machine) {
    note_sender(info);
    if (number == SIGTERM) term_came.store(true);
    for (size_t i = 0; i < kNoted.size(); ++i) {
        if (kNoted[i] != number) continue;
        const bool first = !chaining[i].exchange(true);
        call(first ? before_noted[i] : first_noted[i], number, info, machine);
        if (first) chaining[i].store(false);
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
    term_came.store(false);
    before_noted.fill(plain);
    first_noted.fill(plain);
}

void note_signal_senders(std::atomic<uint32_t>* sender) {
    const bool again = noted_sender.exchange(sender) != nullptr;
    struct sigaction action {};
    action.sa_sigaction = on_noted;
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; i < kNoted.size(); ++i) {
        struct sigaction present {};
        sigaction(kNoted[i], nullptr, &present);
        if (present.sa_sigaction == on_noted) continue;
        if (again && present.sa_handler == SIG_IGN) continue;
        before_noted[i] = present;
        if (!again) first_noted[i] = present;
        action.sa_flags = SA_SIGINFO | (present.sa_flags & (SA_RESTART | SA_ONSTACK));
        sigaction(kNoted[i], &action, nullptr);
    }
}

bool take_term() { return term_came.exchange(false); }

}  // namespace mono::os
