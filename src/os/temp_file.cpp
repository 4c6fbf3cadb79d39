#include "os/temp_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstdlib>

namespace mono::os {
namespace {

int open_unnamed(const char* directory) {
    int fd = ::open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0 || errno == EROFS || errno == EACCES || errno == ENOENT) return fd;
    // File systems without O_TMPFILE: a named file that is unlinked at once.
    std::string name = std::string(directory) + "/monoceros-XXXXXX";
    fd = mkostemp(name.data(), O_CLOEXEC);
    if (fd >= 0) ::unlink(name.c_str());
    return fd;
}

}  // namespace

std::string TempFile::environment_directory() {
    const char* directory = std::getenv("TMPDIR");
    return directory == nullptr ? "" : directory;
}

TempFile TempFile::open(const std::string& directory) {
    const char* candidates[] = {directory.c_str(), "/tmp"};
    TempFile file;
    bool full = false;
    for (const char* candidate : candidates) {
        if (*candidate == '\0') continue;
        file.fd_.reset(open_unnamed(candidate));
        if (file.ok()) return file;
        full |= errno == ENOSPC || errno == EDQUOT;
    }
    // Memory is for a system without a disk, not for a disk without room.
    if (!full) file.fd_.reset(memfd_create("monoceros", MFD_CLOEXEC));
    return file;
}

bool TempFile::write_at(uint64_t offset, std::string_view bytes) {
    while (!bytes.empty()) {
        ssize_t written = pwrite(fd_.get(), bytes.data(), bytes.size(), static_cast<off_t>(offset));
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return false;
        offset += static_cast<uint64_t>(written);
        bytes.remove_prefix(static_cast<size_t>(written));
    }
    return true;
}

ssize_t read_at(int fd, uint64_t offset, std::span<char> into) {
    while (true) {
        ssize_t got = pread(fd, into.data(), into.size(), static_cast<off_t>(offset));
        if (got >= 0 || errno != EINTR) return got;
    }
}

}  // namespace mono::os
