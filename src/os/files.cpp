#include "os/files.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>

namespace mono::os {
namespace {

SinkStatus status_of(int error) {
    switch (error) {
        case EAGAIN:
        case ENOBUFS:
        case ENOMEM:
            return SinkStatus::kAgain;
        case ENOSPC:
        case EDQUOT:
        case EFBIG:
        case EIO:
            return SinkStatus::kFull;
        default:
            return SinkStatus::kBroken;
    }
}

bool is_fifo(const std::string& path) {
    struct stat info {};
    return ::stat(path.c_str(), &info) == 0 && S_ISFIFO(info.st_mode);
}

}  // namespace

Fd open_append(const std::string& path, int& error) {
    constexpr int kFlags = O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    constexpr mode_t kMode = 0666;
    int fd = ::open(path.c_str(), O_WRONLY | kFlags, kMode);
    // ENXIO: nobody reads the FIFO yet. Opened for both, it keeps what we write until then.
    if (fd < 0 && errno == ENXIO && is_fifo(path)) {
        fd = ::open(path.c_str(), O_RDWR | kFlags, kMode);
    }
    error = fd < 0 ? errno : 0;
    return Fd(fd);
}

Fd reopen_nonblocking(int fd) {
    const std::string path = "/proc/self/fd/" + std::to_string(fd);
    return Fd(::open(path.c_str(), O_WRONLY | O_APPEND | O_NONBLOCK | O_CLOEXEC | O_NOCTTY));
}

Fd duplicate(int fd) { return Fd(::fcntl(fd, F_DUPFD_CLOEXEC, 3)); }

bool replace(int fd, const Fd& source) { return ::dup3(source.get(), fd, O_CLOEXEC) == fd; }

SinkKind sink_kind(int fd) {
    struct stat info {};
    if (::fstat(fd, &info) != 0) return SinkKind::kFile;
    if (S_ISSOCK(info.st_mode)) return SinkKind::kSocket;
    if (S_ISFIFO(info.st_mode)) return SinkKind::kStream;
    return ::isatty(fd) == 1 ? SinkKind::kStream : SinkKind::kFile;
}

SinkResult write_sink(int fd, SinkKind kind, std::string_view bytes) {
    while (true) {
        const ssize_t written = kind == SinkKind::kSocket ? ::send(fd, bytes.data(), bytes.size(),
                                                                   MSG_DONTWAIT | MSG_NOSIGNAL)
                                                          : ::write(fd, bytes.data(), bytes.size());
        if (written > 0) return {SinkStatus::kDone, static_cast<size_t>(written)};
        if (written == 0) return {SinkStatus::kAgain, 0};
        if (errno != EINTR) return {status_of(errno), 0, errno};
    }
}

bool wait_writable(int fd, int timeout_ms) {
    pollfd waited{fd, POLLOUT, 0};
    return ::poll(&waited, 1, timeout_ms) == 1;
}

int64_t regular_file_size(int fd) {
    struct stat facts;
    if (fstat(fd, &facts) != 0 || !S_ISREG(facts.st_mode)) return -1;
    return facts.st_size;
}

}  // namespace mono::os
