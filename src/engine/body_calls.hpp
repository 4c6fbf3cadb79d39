// BodyCalls: how a runner reads the body of a request. Each call takes the engine's lock.
#pragma once

#include <cstdint>
#include <span>

#include "base/buffer.hpp"
#include "engine/pools.hpp"
#include "http/error.hpp"

namespace mono::engine {

struct Core;

// What comes behind the bytes that take_arrived() gave.
enum class BodyState : uint8_t {
    kMore,
    kComplete,
    kGone,     // the client has left in the middle of it
    kRefused,  // the client was answered: `fault` is why
    kOver,     // the request has ended
};

class BodyCalls {
  public:
    // A streamed body (Exchange::streamed) while it arrives. Without the GIL: until something is
    // there to take, or nothing more will come. False: not yet; look after signals. A nested engine
    // does not wait.
    bool wait_body(Handle handle, int timeout_ms);
    // What is there; the caller leaves `taken` empty. No system call is made.
    BodyState take_arrived(Handle handle, base::Buffer& taken, http::Error& fault);
    // Nested: both at once.
    BodyState take_body(Handle handle, base::Buffer& taken);
    // A whole body. Copies from `offset` on; the number of bytes, 0 at its end.
    int64_t read_body(Handle handle, uint64_t offset, std::span<char> into);
    // How far it is to behind the next LF, at most `bytes_max`.
    int64_t measure_line(Handle handle, uint64_t offset, uint64_t bytes_max);
    // What these two say instead of a number.
    static constexpr int64_t kUnreadable = -1;
    static constexpr int64_t kTooLate = -2;

  protected:
    explicit BodyCalls(Core& core) : core_(core) {}

  private:
    Core& core_;
};

}  // namespace mono::engine
