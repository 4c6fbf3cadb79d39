#include "os/process.hpp"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include <ctime>

namespace mono::os {

bool set_parent_death_signal(int number) {
    return ::prctl(PR_SET_PDEATHSIG, static_cast<unsigned long>(number), 0, 0, 0) == 0;
}

int parent_death_signal() {
    int number = 0;
    if (::prctl(PR_GET_PDEATHSIG, &number, 0, 0, 0) != 0) return 0;
    return number;
}

void set_thread_name(const char* name) { ::prctl(PR_SET_NAME, name, 0, 0, 0); }

void exit_process(int code) { ::_exit(code); }

int process_id() { return ::getpid(); }

uint64_t current_thread() { return static_cast<uint64_t>(pthread_self()); }

void signal_thread(uint64_t thread, int number) {
    pthread_kill(static_cast<pthread_t>(thread), number);
}

uint64_t random_number() {
    uint64_t number = 0;
    // Eight bytes are never cut short (getrandom(2)); it fails where a sandbox forbids it.
    if (::getrandom(&number, sizeof number, 0) == static_cast<ssize_t>(sizeof number))
        return number;
    timespec now{};
    ::clock_gettime(CLOCK_REALTIME, &now);
    constexpr uint64_t kOdd = 0x9E3779B97F4A7C15U;
    return (static_cast<uint64_t>(now.tv_sec) << 30 ^ static_cast<uint64_t>(now.tv_nsec)) * kOdd ^
           static_cast<uint64_t>(::getpid());
}

uint64_t open_files_max() {
    rlimit limit{};
    return getrlimit(RLIMIT_NOFILE, &limit) == 0 ? limit.rlim_cur : 1024;
}

const char* started_as() {
    const auto* name = reinterpret_cast<const char*>(::getauxval(AT_EXECFN));
    return name == nullptr ? "" : name;
}

uint64_t open_files() {
    constexpr uint64_t kUsual = 32;
    DIR* const folder = ::opendir("/proc/self/fd");
    if (folder == nullptr) return kUsual;
    uint64_t entries = 0;
    while (::readdir(folder) != nullptr) ++entries;
    ::closedir(folder);
    return entries - 3;  // ".", ".." and the folder itself
}

bool raise_open_files_max() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= limit.rlim_max) return false;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

}  // namespace mono::os
