// TempFile: an unnamed file for bodies that are too large for memory. It vanishes with its
// descriptor. Where no directory is writable (read-only root) it is a memfd; where one is full,
// there is none.
// Owner: one connection; positions are given, the file offset is never used.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "os/fd.hpp"

namespace mono::os {

// Of any regular file, whatever its offset. Bytes read; 0 at the end; -1 on an I/O error.
ssize_t read_at(int fd, uint64_t offset, std::span<char> into);

class TempFile {
  public:
    // `directory` empty or not writable: /tmp.
    static TempFile open(const std::string& directory);
    // TMPDIR. Read it once, at the start: the application may call putenv() at any time.
    static std::string environment_directory();
    // An unnamed file that another process has made.
    static TempFile adopt(Fd fd) {
        TempFile file;
        file.fd_ = std::move(fd);
        return file;
    }
    bool ok() const { return static_cast<bool>(fd_); }
    int fd() const { return fd_.get(); }

    // All or nothing; false when the disk is full.
    [[nodiscard]] bool write_at(uint64_t offset, std::string_view bytes);
    ssize_t read_at(uint64_t offset, std::span<char> into) const {
        return os::read_at(fd_.get(), offset, into);
    }

  private:
    Fd fd_;
};

}  // namespace mono::os
