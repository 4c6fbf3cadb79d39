// A whole 502 on one stream, made in the handler of a deadly signal: no HPACK state is used (all
// fields are literals without indexing, RFC 7541 section 6.2.2) and nothing is allocated or
// locked. The caller sends it at a boundary of frames: what Session::unsent() holds goes first.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mono::http2 {

constexpr size_t kLastWordsMax = 512;  // bytes of it

// HEADERS and DATA with END_STREAM of `stream`. `body`: at most 256 bytes of HTML; empty with HEAD.
// Writes at most kLastWordsMax bytes; returns how many. Async-signal-safe.
size_t write_last_words(uint32_t stream, std::string_view body, char* out);

}  // namespace mono::http2
