// Warmup: the warm-up request (warmup_path): before anybody else's, over a socket pair, through all
// that a client's request goes through. Until it is answered the listeners are not watched.
// Owner: the Core, under its lock.
#pragma once

#include <cstdint>
#include <string_view>

#include "os/fd.hpp"

namespace mono::engine {

struct Core;

class Warmup {
  public:
    explicit Warmup(Core& core) : core_(core) {}

    // Asks the application for `path`. False: errno.
    [[nodiscard]] bool begin(std::string_view path);
    // The status line is here, or the connection has ended without one.
    void read();
    bool pending() const { return static_cast<bool>(client_); }
    // -1: not answered yet; 0: the connection ended without an answer.
    int status() const { return client_ ? -1 : status_; }
    void forget() { client_.reset(); }

  private:
    Core& core_;
    os::Fd client_;  // the client's end, while it lasts
    uint16_t status_ = 0;
};

}  // namespace mono::engine
