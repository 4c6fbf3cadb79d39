// RequestText: the fields of one HTTP/2 request become the head of an HTTP/1.1 request, so that
// one parser, one set of limits and one policy of names judge both (RFC 9113 section 8.3.1, RFC
// 8441). It never holds a line that the fields did not have: what could break a line is refused,
// though the codec has looked already. Owner: one Stream; reused (clear() keeps the memory). Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "http2/priority.hpp"

namespace mono::http2 {

// What the head of a request says besides its text. Views last as long as the call that has them.
struct RequestInfo {
    std::string_view scheme;
    std::string_view authority;  // of :authority, else of Host; may be empty
    std::string_view protocol;   // of an extended CONNECT, whose text is a GET with Upgrade
    bool end_stream = false;     // there is no body
    bool has_content_length = false;
    Priority priority;
};

class RequestText {
  public:
    enum class Verdict : uint8_t {
        kGood,
        kMalformed,  // a stream error, PROTOCOL_ERROR (RFC 9113 section 8.1.1)
        kTooLarge,   // 431; what follows is not kept
        kUnknown,    // 501: a protocol for CONNECT that nobody speaks here
    };

    void clear();
    // One field after the other, pseudo-header fields first. Bytes are counted as RFC 9113 does.
    void add(std::string_view name, std::string_view value, size_t list_bytes_max);
    void finish();
    // A field that is not one of the head's: it counts for list_bytes().
    void count(std::string_view name, std::string_view value);

    Verdict verdict() const { return verdict_; }
    size_t list_bytes() const { return list_bytes_; }
    std::string_view text() const { return text_; }
    bool head_method() const { return parts_[kMethod] == "HEAD"; }
    bool websocket() const { return !parts_[kProtocol].empty(); }
    RequestInfo info(bool end_stream) const;

  private:
    enum Part : uint8_t { kMethod, kScheme, kAuthority, kPath, kProtocol, kParts };

    void refuse(Verdict verdict);
    void add_pseudo(std::string_view name, std::string_view value);
    void add_field(std::string_view name, std::string_view value);
    void add_host(std::string_view value);
    void line(std::string_view name, std::string_view value);
    void begin_text();
    bool parts_are_sound() const;
    std::string_view target() const;

    std::array<std::string, kParts> parts_;
    std::string text_;
    std::string cookie_;
    std::string host_;  // of Host
    size_t list_bytes_ = 0;
    Priority priority_;
    Verdict verdict_ = Verdict::kGood;
    bool begun_ = false;  // text_ has the request line
    bool has_content_length_ = false;
};

// A trailer section as lines; fields that may not be trailers are left out (RFC 9110
// section 6.5.1).
void add_trailer(std::string& lines, std::string_view name, std::string_view value);

}  // namespace mono::http2
