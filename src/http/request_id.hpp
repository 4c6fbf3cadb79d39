// The id by which one request is known in logs, answers and to the application: a trusted proxy's
// X-Request-ID, else one of our own; beside it the trace id of a W3C traceparent.
// Pure. RequestIdMaker: one a worker, under its engine's lock.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/slice.hpp"
#include "http/message.hpp"

namespace mono::http {

constexpr size_t kRequestIdBytesMax = 64;

// 1 to 64 letters, digits and "-._~+/=:@": what generators of ids use, and what needs no escaping
// in a header field, a log line or a shell.
bool is_request_id(std::string_view text);

class RequestId {
  public:
    std::string_view view() const { return {bytes_.data(), length_}; }
    bool empty() const { return length_ == 0; }
    void clear() { length_ = 0; }
    // Of at most kRequestIdBytesMax bytes.
    void assign(std::string_view text) {
        length_ = static_cast<uint8_t>(text.copy(bytes_.data(), bytes_.size()));
    }

  private:
    uint8_t length_ = 0;
    std::array<char, kRequestIdBytesMax> bytes_;
};

// Ids of 28 hexadecimal digits: 16 random ones that are the worker's, then 12 that count. No id
// comes twice from one worker; two workers, of any time and machine, differ by their 64 bits.
class RequestIdMaker {
  public:
    explicit RequestIdMaker(uint64_t worker);
    void make(RequestId& id);

  private:
    static constexpr size_t kWorkerDigits = 16;
    static constexpr size_t kCountDigits = 12;
    std::array<char, kWorkerDigits + kCountDigits> next_;
};

// What a head says about where the request came from; each empty when it is absent, malformed or
// given twice. The trace id is anybody's, the others are of trusted peers only.
struct RequestOrigin {
    base::Slice request_id;
    base::Slice trace_id;     // 32 hexadecimal digits
    base::Slice queue_start;  // as it came: queue_time.hpp reads it
};
RequestOrigin read_origin(const char* buffer, const RequestHead& head, bool peer_trusted);

// The trace-id of a traceparent (W3C Trace Context, section 3.2), or an empty slice of it.
std::string_view trace_id_of(std::string_view traceparent);

}  // namespace mono::http
