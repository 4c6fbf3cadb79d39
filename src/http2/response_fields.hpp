// ResponseFields: the fields of a response as HTTP/1 lines, read for HTTP/2: names in lower case,
// what belongs to an HTTP/1 connection left out (RFC 9113 section 8.2.2). Reused. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace mono::http2 {

struct FieldView {
    std::string_view name;
    std::string_view value;
};

class ResponseFields {
  public:
    // `lines`: "Name: value\r\n" each, as http::ResponseHead has them; a line without a colon is
    // left out. `websocket`: also what only the handshake of HTTP/1 needs.
    void read(std::string_view lines, bool websocket = false);

    // Views last until the next read().
    std::span<const FieldView> list() const { return list_; }
    std::optional<uint64_t> content_length() const { return content_length_; }
    bool announces_trailers() const { return announces_trailers_; }

  private:
    void take(std::string_view name, std::string_view value, bool websocket);

    std::string text_;
    std::vector<FieldView> list_;
    std::optional<uint64_t> content_length_;
    bool announces_trailers_ = false;
};

}  // namespace mono::http2
