// HeadParser: request line and header block of one HTTP/1 request, RFC 9112 sections 2 to 5.
// Sans-I/O, resumable, linear: feed it the same growing buffer; every byte is looked at once.
// The result is the same for every way of splitting the bytes (tests/vectors feed all of them).
//
// Contract: after kFailed the parser repeats kFailed until reset(). The buffer may move between
// calls (all results are slices). With permit_obsolete_folding a folded field is joined in place.
#pragma once

#include <cstdint>

#include "http/error.hpp"
#include "http/message.hpp"

namespace mono::http1 {

// From settings; one immutable instance an engine.
struct HeadRules {
    uint32_t line_bytes_max = 4094;  // request line without CRLF; 0 = head_bytes_max
    uint32_t fields_max = 100;
    // One field line with CRLF, folded parts included; also a chunk's line. 0 = head_bytes_max
    uint32_t field_bytes_max = 8190;
    uint32_t head_bytes_max = 65536;  // the whole head
    bool permit_obsolete_folding = false;
    bool strip_header_spaces = false;
    bool permit_unconventional_http_method = false;
    bool permit_unconventional_http_version = false;
    bool casefold_http_method = false;  // upper-cases the method in place

    uint32_t field_bound() const { return field_bytes_max == 0 ? head_bytes_max : field_bytes_max; }
};

enum class ParseStatus : uint8_t { kNeedMore, kComplete, kFailed };

class HeadParser {
  public:
    explicit HeadParser(const HeadRules& rules) : rules_(&rules) {}

    // `buffer`: all `length` bytes that arrived since the request began.
    // kComplete: `head` has the parser's and the target's parts; head.length bytes were consumed.
    [[nodiscard]] ParseStatus parse(char* buffer, uint32_t length, http::RequestHead& head);

    http::Error error() const { return error_; }
    uint32_t error_offset() const { return error_offset_; }  // from the request's first byte
    // A byte of the request line has arrived (a leading CRLF is not yet a request).
    bool started() const { return scanned_ > line_start_ || phase_ >= Phase::kFields; }
    void reset();

  private:
    enum class Phase : uint8_t { kLeadingCrlf, kRequestLine, kFields, kComplete, kFailed };

    uint32_t line_bound() const;  // the line's LF must stand before this offset
    ParseStatus fail_bound();     // it does not
    ParseStatus skip_leading_crlf(const char* buffer, uint32_t length);
    ParseStatus look_ahead(const char* buffer, uint32_t length, uint32_t lf);
    // kNeedMore: go on with the next line.
    ParseStatus end_request_line(char* buffer, uint32_t lf, http::RequestHead& head);
    ParseStatus end_field(char* buffer, uint32_t lf, http::RequestHead& head);
    ParseStatus fail(http::Error error, uint32_t offset);

    const HeadRules* rules_;
    uint32_t line_start_ = 0;
    uint32_t scanned_ = 0;  // bytes already searched for LF
    uint32_t error_offset_ = 0;
    Phase phase_ = Phase::kLeadingCrlf;
    http::Error error_ = http::Error::kNone;
    bool folded_ = false;  // the field that began at line_start_ has continuation lines
};

}  // namespace mono::http1
