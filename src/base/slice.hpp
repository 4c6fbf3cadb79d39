// Slice: a piece of a buffer that may move while it grows, as offset and length.
// Invariant: meaningful only together with the buffer it was made from.
#pragma once

#include <cstdint>
#include <string_view>

namespace mono::base {

struct Slice {
    uint32_t offset = 0;
    uint32_t length = 0;

    std::string_view in(const char* buffer) const { return {buffer + offset, length}; }
    bool empty() const { return length == 0; }
    bool operator==(const Slice&) const = default;
};

}  // namespace mono::base
