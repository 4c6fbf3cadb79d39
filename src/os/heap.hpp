// The C library's heap: what a burst has taken goes back to the system. No state; any thread.
// Elsewhere than with glibc (musl) nothing is done, nor needed.
#pragma once

namespace mono::os {

// Two arenas for all threads: each keeps what it once held, so a burst would be paid for once a
// thread. Call it before there are threads. Who sets MALLOC_ARENA_MAX or glibc.malloc.arena_max
// (GLIBC_TUNABLES) in the environment has the last word.
void bound_heap();

// Gives free pages back: milliseconds for a large heap. Call it without a lock.
void trim_heap();

}  // namespace mono::os
