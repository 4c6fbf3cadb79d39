// Bounds that hold for a client's connection whatever protocol it speaks.
#pragma once

#include <cstdint>

namespace mono::http {

constexpr int64_t kLingerMs = 2'000;           // after our half of the connection is closed
constexpr uint64_t kLingerBytesMax = 1 << 20;  // read and thrown away meanwhile
constexpr uint32_t kCopiedBytesMax = 4096;     // larger pieces of a body are referenced, not copied

}  // namespace mono::http
