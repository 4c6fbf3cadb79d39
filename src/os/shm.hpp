// SharedMemory: zeroed anonymous memory that processes forked later share. Sole owner of the
// mapping in its process; pages cost memory only once touched.
// Invariant: data() is page-aligned, or nullptr when the kernel refused: errno says why.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace mono::os {

enum class Dumped : uint8_t { kYes, kNo };  // kNo: secrets, which core dumps leave out

class SharedMemory {
  public:
    explicit SharedMemory(size_t bytes, Dumped dumped = Dumped::kYes);
    SharedMemory(SharedMemory&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
    SharedMemory& operator=(SharedMemory&&) = delete;
    SharedMemory(const SharedMemory&) = delete;
    SharedMemory& operator=(const SharedMemory&) = delete;
    ~SharedMemory();

    void* data() const { return data_; }
    size_t bytes() const { return bytes_; }

  private:
    void* data_;
    size_t bytes_;
};

}  // namespace mono::os
