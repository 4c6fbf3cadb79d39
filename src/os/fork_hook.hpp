// ForkHook: what happens around each fork(2) that code of ours does not make on purpose: a child
// that the application forks shares our descriptors, shared memory and signal handlers, and is
// none of ours (docs/adr/0018). Runs for every fork that goes through the C library, whoever calls
// it; not for vfork, posix_spawn and bare clone(2).
// Process-wide, as pthread_atfork is, and so with global state. Order in the forking thread:
// signals are blocked; each party's before_fork(); fork; each party's after_fork(); in the child,
// the process's belongings go and signals get their defaults; signals are unblocked. A signal that
// is sent to the child at once therefore meets its default action.
#pragma once

#include <cstddef>
#include <span>

namespace mono::os {

// Someone whose state a child inherits. In the child: async-signal-safe calls and free() only, and
// no other thread is there. Any thread that forks.
class ForkParty {
  public:
    ForkParty() = default;
    ForkParty(const ForkParty&) = delete;
    ForkParty& operator=(const ForkParty&) = delete;
    virtual void before_fork() = 0;
    virtual void after_fork_in_parent() = 0;
    virtual void after_fork_in_child() = 0;

  protected:
    ~ForkParty() = default;
};

// Until part_from_forks(). The party outlives that. False: no memory.
[[nodiscard]] bool join_forks(ForkParty& party);
void part_from_forks(ForkParty& party);

// What this process has and its children shall not share.
struct Belongings {
    std::span<const int> descriptors = {};  // their numbers stay taken: others may close them again
    std::span<const int> epolls = {};   // of event loops: a child's changes would be the parent's
    std::span<const int> signals = {};  // that are handled here; the deadly ones are in any case
    void* memory = nullptr;             // a shared mapping: private and zeroed in the child
    size_t memory_bytes = 0;
};
// Replaces those named before. Deadly signals get their defaults in children as well.
// False: no memory.
[[nodiscard]] bool keep_from_children(const Belongings& belongings);

// Between the two, in both processes, forks of this thread are the server's own: the child inherits
// everything, until it says what it has itself.
void begin_own_fork();
void end_own_fork();

}  // namespace mono::os
