// Append-only sinks for logs: opening them, and writing without ever waiting for their reader.
// Invariant: O_NONBLOCK is only ever set on a description that this process opened itself. An
// inherited standard output is shared with other processes, which would suddenly see EAGAIN.
// Callable from any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "os/fd.hpp"

namespace mono::os {

enum class SinkKind : uint8_t {
    kFile,    // regular files and devices such as /dev/null: waits only for a slow disk
    kStream,  // pipes and terminals: wait for a reader unless the description is non-blocking
    kSocket,  // never waits: each send is non-blocking by itself
};

enum class SinkStatus : uint8_t {
    kDone,    // `bytes` were taken, perhaps fewer than given
    kAgain,   // the reader is slow: nothing possible now
    kFull,    // no space, quota or size left; may pass
    kBroken,  // no reader any more, or the descriptor is unusable
};

struct SinkResult {
    SinkStatus status = SinkStatus::kDone;
    size_t bytes = 0;
    int error = 0;  // errno, where it is not kDone
};

// Opens `path` for appending, made with mode 0666 less umask, close-on-exec, non-blocking. A FIFO
// without a reader opens too. An empty Fd: `error` holds errno.
Fd open_append(const std::string& path, int& error);

// A description of our own for the same pipe or terminal, non-blocking. Empty where the kernel
// refuses: no /proc, or a pipe made by another user.
Fd reopen_nonblocking(int fd);

// Another descriptor for the same description, close-on-exec.
Fd duplicate(int fd);

// -1: not a regular file.
int64_t regular_file_size(int fd);

// Makes `fd` refer to what `source` refers to, in one step: a write in another thread lands in
// either, never in a closed descriptor.
[[nodiscard]] bool replace(int fd, const Fd& source);

SinkKind sink_kind(int fd);

// One write, or one send for sockets. The process must ignore SIGPIPE.
[[nodiscard]] SinkResult write_sink(int fd, SinkKind kind, std::string_view bytes);

// False at the timeout.
bool wait_writable(int fd, int timeout_ms);

}  // namespace mono::os
