// The head of a request as slices of the buffer it arrived in, and what follows from it.
// Filled by HeadParser and framing; read by session, log and the binding. Reused: clear() keeps
// the capacity, so that a warm connection allocates nothing (bounds: HeadRules).
#pragma once

#include <cstdint>
#include <string_view>
#include <utility>
#include <vector>

#include "base/slice.hpp"
#include "http/names.hpp"

namespace mono::http {

struct Field {
    base::Slice name;   // empty: the client did not send it (a Host that its target implies)
    base::Slice value;  // trimmed of SP and HTAB
    KnownField known = KnownField::kOther;
    bool ascii = true;        // every byte of the value is below 0x80
    bool underscore = false;  // the name holds "_"

    std::string_view name_in(const char* buffer) const {
        return name.empty() ? wire_name(known) : name.in(buffer);
    }
};

enum class TargetForm : uint8_t { kOrigin, kAbsolute, kAuthority, kAsterisk };

enum class BodyKind : uint8_t { kNone, kLength, kChunked };

struct RequestHead {
    // By HeadParser
    base::Slice method;
    base::Slice target;  // verbatim: RAW_URI
    uint8_t version_major = 1;
    uint8_t version_minor = 1;
    bool head_method = false;  // the method is HEAD: the response has no body
    std::vector<Field> fields;
    uint32_t length = 0;  // bytes of the whole head, leading CRLF and final CRLF included

    // By target
    TargetForm form = TargetForm::kOrigin;
    base::Slice path;        // still percent-encoded; "*" for the asterisk form
    base::Slice query;       // without "?"
    base::Slice authority;   // of the absolute and authority forms
    bool path_plain = true;  // the path holds no "%": it needs no decoding

    // By framing
    BodyKind body = BodyKind::kNone;
    uint64_t content_length = 0;  // with BodyKind::kLength
    bool keep_alive = false;      // what the request asks for and the version permits
    bool expect_continue = false;
    bool of_stream = false;   // HTTP/2: the response has an end of its own
    bool by_gateway = false;  // uwsgi: who reads the answer knows no chunks
    bool upgrade = false;     // Connection lists "upgrade" and Upgrade is present

    bool at_least_1_1() const {
        return version_major > 1 || (version_major == 1 && version_minor >= 1);
    }
    // A request of HTTP/2, once it has been judged as the HTTP/1.1 text that it was made into.
    void become_http2() {
        of_stream = true;
        version_major = 2;
        version_minor = 0;
        std::erase_if(fields, [](const Field& field) {
            return field.known == KnownField::kTransferEncoding;
        });
    }
    void clear() {
        std::vector<Field> kept = std::move(fields);
        kept.clear();
        *this = RequestHead{};
        fields = std::move(kept);
    }
};

}  // namespace mono::http
