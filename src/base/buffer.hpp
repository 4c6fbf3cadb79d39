// Buffer: a growable run of bytes that one owner appends to and reads from.
// Unlike std::string it never zero-fills and tells its spare room. Out of memory ends the process.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>
#include <utility>

namespace mono::base {

class Buffer {
  public:
    Buffer() = default;
    Buffer(Buffer&& other) noexcept
        : data_(std::exchange(other.data_, nullptr)),
          size_(std::exchange(other.size_, 0)),
          capacity_(std::exchange(other.capacity_, 0)) {}
    Buffer& operator=(Buffer&& other) noexcept {
        std::swap(data_, other.data_);
        std::swap(size_, other.size_);
        std::swap(capacity_, other.capacity_);
        return *this;
    }
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() { std::free(data_); }

    char* data() { return data_; }
    const char* data() const { return data_; }
    size_t size() const { return size_; }
    size_t capacity() const { return capacity_; }
    bool empty() const { return size_ == 0; }
    std::string_view view() const { return {data_, size_}; }

    void clear() { size_ = 0; }
    void truncate(size_t size) { size_ = size; }
    void release() {
        std::free(data_);
        data_ = nullptr;
        size_ = capacity_ = 0;
    }
    // Room for `more` bytes behind the present ones.
    char* reserve(size_t more) {
        if (size_ + more > capacity_) grow(size_ + more);
        return data_ + size_;
    }
    // Gives back what is not used.
    void shrink() {
        if (size_ == 0) return release();
        void* smaller = std::realloc(data_, size_);
        if (smaller == nullptr) return;
        data_ = static_cast<char*>(smaller);
        capacity_ = size_;
    }
    void commit(size_t written) { size_ += written; }
    void append(std::string_view bytes) {
        if (bytes.empty()) return;
        std::memcpy(reserve(bytes.size()), bytes.data(), bytes.size());
        size_ += bytes.size();
    }

  private:
    void grow(size_t wanted) {
        size_t capacity = capacity_ < kSmallest ? kSmallest : capacity_ * 2;
        if (capacity < wanted) capacity = wanted;
        void* grown = std::realloc(data_, capacity);
        if (grown == nullptr) std::abort();
        data_ = static_cast<char*>(grown);
        capacity_ = capacity;
    }

    static constexpr size_t kSmallest = 1024;
    char* data_ = nullptr;
    size_t size_ = 0;
    size_t capacity_ = 0;
};

}  // namespace mono::base
