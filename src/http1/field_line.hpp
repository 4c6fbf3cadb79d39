// One field line, "name: value", as the head and the trailer section share it. Private to http.
// RFC 9112 section 5 and RFC 9110 section 5.5.
#pragma once

#include "http/error.hpp"
#include "http/message.hpp"

namespace mono::http1 {

struct LineFault {
    http::Error error = http::Error::kNone;
    const char* at = nullptr;
};

struct FieldLine {
    const char* base;   // what the slices are relative to; all from here to `end` is readable
    const char* begin;  // the first byte of the name
    const char* end;    // the CR of the line's end
    bool strip_spaces;  // blanks between name and colon are dropped rather than refused
};

// Fills `field`. A CR inside the line is reported before anything else that is wrong with it.
LineFault parse_field_line(const FieldLine& line, http::Field& field);

}  // namespace mono::http1
