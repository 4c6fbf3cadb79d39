// The chunked transfer coding, RFC 9112 section 7.1: a sans-I/O decoder, and the encoder's pieces.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "http/error.hpp"
#include "http1/head_parser.hpp"

namespace mono::http1 {

struct LineFault;

// Trailer fields, copied (they are rare): lower-case is not applied.
struct Trailer {
    std::string name;
    std::string value;
};

class ChunkedDecoder {
  public:
    enum class Event : uint8_t { kNeedMore, kData, kEnd, kFailed };
    struct Step {
        Event event = Event::kNeedMore;
        size_t consumed = 0;    // bytes of the input that are dealt with
        std::string_view data;  // with kData: a piece of the input, never empty
    };

    explicit ChunkedDecoder(const HeadRules& rules) : rules_(&rules) {}

    // Call again with the rest of the input until kNeedMore, kEnd or kFailed. An incomplete size
    // line or trailer is kept inside (bounded by field_bytes_max and head_bytes_max).
    [[nodiscard]] Step next(std::string_view input);

    http::Error error() const { return error_; }
    uint64_t error_offset() const { return error_offset_; }  // from the body's first byte
    uint64_t chunk_left() const { return remaining_; }       // announced and not yet delivered
    const std::vector<Trailer>& trailers() const { return trailers_; }
    void reset();

  private:
    enum class Phase : uint8_t { kSizeLine, kData, kDataCr, kDataLf, kTrailer, kEnd, kFailed };

    void fail(http::Error error, uint64_t offset);
    size_t take_line(std::string_view input);
    void end_line(std::string_view line, uint64_t line_start);
    LineFault take_trailer(const char* begin, const char* end);

    const HeadRules* rules_;
    Phase phase_ = Phase::kSizeLine;
    http::Error error_ = http::Error::kNone;
    uint64_t remaining_ = 0;  // of the current chunk
    uint64_t offset_ = 0;     // consumed so far
    uint64_t error_offset_ = 0;
    uint32_t trailer_bytes_ = 0;
    std::string line_;  // the incomplete line
    std::vector<Trailer> trailers_;
};

constexpr size_t kChunkPrefixMax = 18;  // 16 hexadecimal digits and CRLF
// Writes "<upper-case hex>\r\n" and returns its length.
size_t write_chunk_prefix(uint64_t bytes, char* out);

}  // namespace mono::http1
