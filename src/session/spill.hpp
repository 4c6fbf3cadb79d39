// Spill: where a body goes when it is too large for memory. The session knows only this
// interface; engine/ gives it files (os/temp_file), tests give it memory.
// Owner: one exchange or connection; one thread at a time.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace mono::session {

class Spill {
  public:
    virtual ~Spill() = default;
    // All or nothing; false when there is no room.
    [[nodiscard]] virtual bool append(std::string_view bytes) = 0;
    // Bytes read, 0 at the end, -1 on an I/O error.
    virtual int64_t read(uint64_t offset, std::span<char> into) const = 0;
    // For another process: the whole is in it. -1: it cannot be written, and in tests.
    virtual int fd() = 0;
    virtual uint64_t size() const = 0;
};

class SpillFactory {
  public:
    virtual ~SpillFactory() = default;
    virtual std::unique_ptr<Spill> make() = 0;  // nullptr when nothing can be opened
    // Whether bounds of the server's own let another one of this size in. Nothing is reserved.
    virtual bool has_room(uint64_t bytes) const = 0;
    // What make() or a spill's append() refused last was beyond a bound of the server's own; else
    // the disk or the process's descriptors were at their end.
    virtual bool at_limit() const = 0;
};

}  // namespace mono::session
