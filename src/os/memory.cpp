#include "os/memory.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <string>

#include "os/fd.hpp"

namespace mono::os {
namespace {

constexpr size_t kRollupBytesMax = 4'096;  // some twenty lines of thirty bytes

// "Pss:                1234 kB" at the beginning of a line.
int64_t field(std::string_view text, std::string_view name) {
    const size_t start = text.find("\n" + std::string(name) + ":");
    if (start == std::string_view::npos) return 0;
    text.remove_prefix(start + name.size() + 2);
    text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
    int64_t kib = 0;
    std::from_chars(text.data(), text.data() + text.size(), kib);
    return kib * 1'024;
}

}  // namespace

int64_t memory_in_rollup(std::string_view text, MemoryKind kind) {
    if (kind == MemoryKind::kPss) return field(text, "Pss");
    return field(text, "Private_Clean") + field(text, "Private_Dirty") +
           field(text, "Private_Hugetlb");
}

int64_t process_memory(int pid, MemoryKind kind) {
    const std::string path = "/proc/" + std::to_string(pid) + "/smaps_rollup";
    const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return 0;
    std::array<char, kRollupBytesMax> bytes;
    const ssize_t length = ::read(file.get(), bytes.data(), bytes.size());
    if (length <= 0) return 0;
    return memory_in_rollup({bytes.data(), static_cast<size_t>(length)}, kind);
}

}  // namespace mono::os
