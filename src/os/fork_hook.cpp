#include "os/fork_hook.hpp"

#include <pthread.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <mutex>
#include <vector>

#include "os/crash_handler.hpp"
#include "os/files.hpp"

namespace mono::os {
namespace {

// The number alone may be somebody else's by the time of a fork.
struct Descriptor {
    int number;
    dev_t device;
    ino_t inode;
};

struct Hook {
    std::mutex mutex;  // held from before to after a fork
    sigset_t mask;     // of the forking thread
    std::vector<ForkParty*> parties;
    bool keeps = false;  // what follows
    std::vector<Descriptor> descriptors;
    std::vector<int> epolls;
    std::vector<int> signals;
    void* memory = nullptr;
    size_t memory_bytes = 0;
};

// Never destroyed: a process forks until its last moment.
Hook& hook() {
    static Hook* const only = new Hook;
    return *only;
}

thread_local int own_forks = 0;

void before() {
    sigset_t all;
    sigset_t mask;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &mask);
    hook().mutex.lock();
    hook().mask = mask;
    if (own_forks != 0) return;
    for (ForkParty* party : hook().parties) party->before_fork();
}

void end() {
    const sigset_t mask = hook().mask;
    hook().mutex.unlock();
    pthread_sigmask(SIG_SETMASK, &mask, nullptr);
}

void in_parent() {
    if (own_forks == 0)
        for (ForkParty* party : hook().parties) party->after_fork_in_parent();
    end();
}

void default_action(int number) {
    struct sigaction action {};
    if (sigaction(number, nullptr, &action) != 0 || action.sa_handler == SIG_IGN) return;
    action = {};
    action.sa_handler = SIG_DFL;
    sigaction(number, &action, nullptr);
}

// Behind the numbers there is an epoll set of the child's own, and nothing in it: whatever is still
// done to them changes nothing, and closing them closes nobody else's.
void replace_descriptors() {
    const Fd nothing(epoll_create1(EPOLL_CLOEXEC));
    for (const Descriptor& kept : hook().descriptors) {
        struct stat now {};
        bool same =
            fstat(kept.number, &now) == 0 && now.st_dev == kept.device && now.st_ino == kept.inode;
        if (same && !replace(kept.number, nothing)) ::close(kept.number);
    }
    for (int number : hook().epolls) {
        const Fd fresh(epoll_create1(EPOLL_CLOEXEC));
        if (!replace(number, fresh)) ::close(number);
    }
}

void in_child() {
    if (own_forks == 0) {
        for (ForkParty* party : hook().parties) party->after_fork_in_child();
        hook().parties.clear();
    }
    if (own_forks == 0 && hook().keeps) {
        forget_crash_handler();
        for (int number : hook().signals) default_action(number);
        replace_descriptors();
        if (hook().memory != nullptr)
            ::mmap(hook().memory, hook().memory_bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
        hook().keeps = false;  // a grandchild has nothing of ours left
    }
    end();
}

// False: there is no memory for it.
bool install() {
    static const bool installed = pthread_atfork(before, in_parent, in_child) == 0;
    return installed;
}

}  // namespace

bool join_forks(ForkParty& party) {
    if (!install()) return false;
    const std::lock_guard lock(hook().mutex);
    hook().parties.push_back(&party);
    return true;
}

void part_from_forks(ForkParty& party) {
    const std::lock_guard lock(hook().mutex);
    std::erase(hook().parties, &party);
}

bool keep_from_children(const Belongings& belongings) {
    if (!install()) return false;
    const std::lock_guard lock(hook().mutex);
    hook().keeps = true;
    hook().descriptors.clear();
    for (int number : belongings.descriptors) {
        struct stat now {};
        if (fstat(number, &now) == 0)
            hook().descriptors.push_back({number, now.st_dev, now.st_ino});
    }
    hook().epolls.assign(belongings.epolls.begin(), belongings.epolls.end());
    hook().signals.assign(belongings.signals.begin(), belongings.signals.end());
    hook().memory = belongings.memory;
    hook().memory_bytes = belongings.memory_bytes;
    return true;
}

void begin_own_fork() { ++own_forks; }

void end_own_fork() { --own_forks; }

}  // namespace mono::os
