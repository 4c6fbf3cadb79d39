// Escaping of text that a client chose before it enters a log line. Whatever bytes come in, the
// output holds no control byte and no byte above 0x7E (JSON: only valid UTF-8 above it), so that
// one request can never look like two lines. Pure functions; callable from any thread.
#pragma once

#include <string>
#include <string_view>

namespace mono::log {

// For text between or without quotes: '"' and '\' get a backslash, the rest becomes \xHH.
void append_plain(std::string_view text, std::string& out);

// A JSON string with its quotes (RFC 8259 section 7). Valid UTF-8 stays as it is, but for controls
// and separators, which become \uHHHH; a byte that is
// not part of a valid sequence is taken as latin-1, as WSGI does, and becomes \u00HH.
void append_json(std::string_view text, std::string& out);

// A logfmt value: bare if it is a plain word, else quoted and escaped as in append_plain.
void append_logfmt(std::string_view text, std::string& out);

// Length of the valid UTF-8 sequence that `text` begins with (RFC 3629), or 0.
size_t utf8_sequence_length(std::string_view text);

}  // namespace mono::log
