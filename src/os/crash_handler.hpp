// CrashHandler: last words of a process that a deadly signal strikes: a fault of its code (SEGV,
// BUS, FPE, ILL) or an abort (ABRT). Then the signal takes its course: whoever handled it before
// (Python, faulthandler) is called, or the process dies as it would have.
// Process-wide, as signal dispositions are: the one place with global state. Install from the main
// thread, after everybody else has; one handler at a time.
#pragma once

#include <atomic>
#include <cstdint>

namespace mono::os {

// Called in the signal handler: async-signal-safe functions only. `asked`: the parent sent it.
using LastWords = void (*)(void* context, bool asked);

void install_crash_handler(LastWords words, void* context);
// Of this context only: another one may have been installed since.
void remove_crash_handler(const void* context);

// In a forked child (fork_hook.hpp): no last words, nobody is noted, nobody else is called, and the
// deadly signals have their defaults.
void forget_crash_handler();

// Notes in `sender` which process sent TERM, INT or QUIT (and, with a crash handler, ABRT), unless
// it was the parent; the handlers that are installed are called as before. `sender` lives as long
// as the process. Again, from the same thread, to come before handlers that were set since; signals
// that are ignored stay so, because programs that are started would inherit it.
void note_signal_senders(std::atomic<uint32_t>* sender);
// Whether TERM has come since the last call, whoever sent it and whatever its handler made of it.
bool take_term();

}  // namespace mono::os
