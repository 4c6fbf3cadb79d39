// What a worker asks of the kernel about itself and its parent. No state; any thread, but the
// parent-death signal follows the parent's *thread* that forked: the master has only one.
#pragma once

#include <cstdint>

namespace mono::os {

// The kernel sends `number` to this process when the thread that forked it ends. Cleared by a
// change of credentials, so it is to be set (again) after setuid. False: errno tells.
[[nodiscard]] bool set_parent_death_signal(int number);

// 0: none.
int parent_death_signal();

// The process id, the number of descriptors that it may have open (RLIMIT_NOFILE), and how many it
// has, or may have where that cannot be seen.
int process_id();
uint64_t open_files_max();
uint64_t open_files();
// The file that this process was started from, by the name that it was called by: of a script the
// script's, not its interpreter's. Empty: the kernel has not said.
const char* started_as();

// Raises the soft limit to the hard one; whether it was lower.
bool raise_open_files_max();

// From the kernel's generator: for what must differ between processes, hosts and restarts.
uint64_t random_number();
// Threads of this process, to send signals to.
uint64_t current_thread();
void signal_thread(uint64_t thread, int number);

// At once: no destructor, no atexit function, no buffer is flushed.
[[noreturn]] void exit_process(int code);

// The short name that ps -o comm and top show; at most 15 bytes are kept.
void set_thread_name(const char* name);

}  // namespace mono::os
