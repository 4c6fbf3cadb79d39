// Unrun: answers that no application has given (refusals, probes), for a runner that writes the
// access log itself. A copy: the exchange goes on. Owned by the engine, under its lock. Bounded:
// what does not fit is counted.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "session/exchange.hpp"

namespace mono::engine {

struct Unrun {
    session::PeerInfo peer;
    std::string method;  // empty, as all that follows: it was not read so far
    std::string target;
    std::string path;  // decoded
    std::string query;
    std::vector<std::pair<std::string, std::string>> fields;
    std::string response_fields;
    std::string request_id;
    uint8_t version_major = 0;
    uint8_t version_minor = 0;
    uint16_t status = 0;
    http::Error error = http::Error::kNone;
    uint64_t body_bytes = 0;
    int64_t duration_us = 0;
};

// error: why it was refused; kNone: it was not.
Unrun unrun_of(const session::Exchange& exchange, uint16_t status, uint64_t body_bytes,
               http::Error error);

class UnrunList {
  public:
    bool empty() const { return entries_.empty(); }
    void add(const session::Exchange& exchange, uint16_t status, uint64_t body_bytes,
             http::Error error) {
        if (entries_.size() < kEntriesMax) {
            entries_.push_back(unrun_of(exchange, status, body_bytes, error));
        } else {
            ++dropped_;
        }
    }
    // And how many did not fit since the last call.
    std::pair<std::vector<Unrun>, uint64_t> take() {
        return {std::exchange(entries_, {}), std::exchange(dropped_, 0)};
    }

  private:
    static constexpr size_t kEntriesMax = 1000;
    std::vector<Unrun> entries_;
    uint64_t dropped_ = 0;
};

}  // namespace mono::engine
