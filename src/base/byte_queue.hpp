// ByteQueue: bytes that are appended behind and taken off the front. Taking moves nothing: however
// small the pieces in which it is emptied, each byte is copied once, and once more where the queue
// grows before it was empty. One owner; views last until the next append or take.
#pragma once

#include "base/buffer.hpp"

namespace mono::base {

class ByteQueue {
  public:
    ByteQueue() = default;
    ByteQueue(ByteQueue&& other) noexcept
        : buffer_(std::move(other.buffer_)), begin_(std::exchange(other.begin_, 0)) {}
    ByteQueue& operator=(ByteQueue&& other) noexcept {
        std::swap(buffer_, other.buffer_);
        std::swap(begin_, other.begin_);
        return *this;
    }
    ByteQueue(const ByteQueue&) = delete;
    ByteQueue& operator=(const ByteQueue&) = delete;

    bool empty() const { return size() == 0; }
    size_t size() const { return buffer_.size() - begin_; }
    char* data() { return buffer_.data() + begin_; }
    std::string_view view() const { return buffer_.view().substr(begin_); }

    void append(std::string_view bytes) {
        if (begin_ != 0 && begin_ >= size()) move_to_front();
        buffer_.append(bytes);
    }
    // Empty it keeps no memory.
    void take(size_t count) {
        begin_ += count;
        if (begin_ == buffer_.size()) release();
    }
    void release() {
        buffer_.release();
        begin_ = 0;
    }

  private:
    // At most as many bytes as were taken since the last time.
    void move_to_front() {
        std::memmove(buffer_.data(), data(), size());
        buffer_.truncate(size());
        begin_ = 0;
    }

    Buffer buffer_;
    size_t begin_ = 0;
};

}  // namespace mono::base
