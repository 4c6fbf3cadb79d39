// ResponseHead: status and fields as the application gave them, checked, filtered and kept ready
// to be written. RFC 9110 section 5.5 and 15, RFC 9112 section 4, PEP 3333.
// Used by one thread at a time; reused (clear() keeps the buffer).
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/buffer.hpp"

namespace mono::http {

enum class HeadFault : uint8_t {
    kNone,
    kStatusInvalid,         // not 3 digits, optional single space and reason
    kNameInvalid,           // not a token
    kValueInvalid,          // control bytes: header injection
    kContentLengthInvalid,  // not a decimal of at most 64 bits, or given twice with two values
};
std::string_view describe(HeadFault fault);

class ResponseHead {
  public:
    void clear();
    bool empty() const { return status_ == 0; }

    // "200 OK". Text is latin-1.
    [[nodiscard]] HeadFault set_status(std::string_view status);
    // Validates, drops hop-by-hop fields and Server/Date, keeps the rest in
    // order and case as "Name: value\r\n".
    [[nodiscard]] HeadFault add(std::string_view name, std::string_view value);

    uint16_t status() const { return status_; }
    std::string_view status_line() const { return status_line_; }  // "200 OK"
    bool has_content_length() const { return has_content_length_; }
    uint64_t content_length() const { return content_length_; }
    bool upgrade() const { return upgrade_; }  // the application sent "Connection: upgrade"
    bool has(std::string_view name) const { return find(name).has_value(); }
    // The value of the first such field.
    std::optional<std::string_view> find(std::string_view name) const;
    std::string_view fields() const { return fields_.view(); }  // serialised, for %({x}o)s

    // 1xx, 204 and 304 never have a body (RFC 9110 section 6.4.1).
    bool status_forbids_body() const { return status_ < 200 || status_ == 204 || status_ == 304; }

    struct Context {
        uint8_t version_minor = 1;         // 0 for who speaks HTTP/1.0
        std::string_view server;           // value of Server; empty = no field
        std::string_view date;             // value of Date, 29 bytes; empty = no field
        std::string_view connection;       // "close", "keep-alive" or "upgrade"; empty = no field
        bool chunked = false;              // adds Transfer-Encoding
        bool drop_content_length = false;  // 1xx and 204
        bool add_content_length = false;   // the server knows it and the application gave none
        uint64_t content_length = 0;       // with add_content_length
    };
    // Upper bound of what write() appends.
    size_t size_max(const Context& context) const;
    // Writes the head including the final CRLF to `out`; returns the length.
    size_t write(const Context& context, char* out) const;

  private:
    std::string status_line_;
    base::Buffer fields_;
    uint64_t content_length_ = 0;
    uint32_t content_length_at_ = 0;  // where its line begins in fields_
    uint32_t content_length_size_ = 0;
    uint16_t status_ = 0;
    bool has_content_length_ = false;
    bool upgrade_ = false;
};

// The refusal page of the server itself: head and body in one string (Connection: close,
// Content-Type: text/html, Content-Length). The body names a request id that is
// not empty.
std::string error_page(uint16_t status, std::string_view detail, std::string_view request_id);
// Puts a field into such a page, or into any other whole answer.
void insert_field(std::string& page, std::string_view name, std::string_view value);
// "Not Found"; "Unknown" for numbers without a registered phrase.
std::string_view reason_phrase(uint16_t status);

}  // namespace mono::http
