// Inotify: tells that something happened in some directories. Owns one inotify descriptor, which
// is readable when there is news; what changed, the caller finds out by looking at its files.
// Used by one thread (the reloader's).
#pragma once

#include <string>

#include "os/fd.hpp"

namespace mono::os {

class Inotify {
  public:
    Inotify();  // ok() is false where the user has too many instances already: errno says so
    bool ok() const { return static_cast<bool>(fd_); }
    int fd() const { return fd_.get(); }

    // Watches the entries of a directory for being written, replaced, renamed or touched.
    // Watching one twice is harmless. False: errno says why; ENOSPC means too many watches.
    bool watch(const std::string& directory);

    // Takes all news off the descriptor; whether there was any. Never waits.
    bool drain();

  private:
    Fd fd_;
};

}  // namespace mono::os
