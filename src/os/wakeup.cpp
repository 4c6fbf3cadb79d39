#include "os/wakeup.hpp"

#include <fcntl.h>

#include "os/files.hpp"

namespace mono::os {

Wakeup::Wakeup() {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return;
    reader_.reset(ends[0]);
    writer_.reset(ends[1]);
}

void ring(int fd) {
    char byte = 0;
    // A full pipe is already readable: nothing is lost.
    if (fd >= 0) [[maybe_unused]]
        ssize_t written = ::write(fd, &byte, 1);
}

void Wakeup::ring() { os::ring(writer_.get()); }

void Wakeup::renew() {
    const Wakeup fresh;
    if (!replace(reader_.get(), fresh.reader_)) reader_.reset();
    if (!replace(writer_.get(), fresh.writer_)) writer_.reset();
}

void Wakeup::drain() {
    char bytes[256];
    while (::read(reader_.get(), bytes, sizeof bytes) == static_cast<ssize_t>(sizeof bytes)) {
    }
}

}  // namespace mono::os
