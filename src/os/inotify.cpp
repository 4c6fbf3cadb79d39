#include "os/inotify.hpp"

#include <sys/inotify.h>
#include <unistd.h>

namespace mono::os {

namespace {

// IN_CLOSE_WRITE and not IN_MODIFY: a file that is still being written is not worth loading.
// IN_CREATE: new symbolic links. Deletions are no news: what replaces the file is.
constexpr uint32_t kEvents =
    IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_ATTRIB | IN_ONLYDIR | IN_EXCL_UNLINK;

}  // namespace

Inotify::Inotify() : fd_(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {}

bool Inotify::watch(const std::string& directory) {
    return inotify_add_watch(fd_.get(), directory.c_str(), kEvents) >= 0;
}

bool Inotify::drain() {
    // Room for one event with the longest name, which read() insists on, and usually for many.
    alignas(inotify_event) char events[4096];
    bool some = false;
    while (::read(fd_.get(), events, sizeof events) > 0) some = true;
    return some;
}

}  // namespace mono::os
