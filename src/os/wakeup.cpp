#include "os/wakeup.hpp"

#include <fcntl.h>

namespace mono::os {

Wakeup::Wakeup() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return;
    reader_.reset(ends[0]);
    writer_.reset(ends[1]);
}

void Wakeup::ring() {
    char byte = 0;
    // A full pipe is already readable: nothing is lost.
    [[maybe_unused]] ssize_t written = ::write(writer_.get(), &byte, 1);
}

void Wakeup::drain() {
    char bytes[256];
    while (::read(reader_.get(), bytes, sizeof bytes) == static_cast<ssize_t>(sizeof bytes)) {
    }
}

}  // namespace mono::os
