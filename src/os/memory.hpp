// How much memory another process takes, from /proc/PID/smaps_rollup. Reading walks the page
// tables of that process: milliseconds for gigabytes. No state; any thread.
#pragma once

#include <cstdint>
#include <string_view>

namespace mono::os {

enum class MemoryKind : uint8_t {
    kPss,      // a page shared by n processes counts as its nth part
    kPrivate,  // shared pages do not count: what its end would give back
};

// Bytes; 0: it is gone, is somebody else's, or the kernel has no such file (before 4.14).
int64_t process_memory(int pid, MemoryKind kind);

// The same from the file's text.
int64_t memory_in_rollup(std::string_view text, MemoryKind kind);

}  // namespace mono::os
