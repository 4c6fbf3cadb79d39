// X-Request-Start and X-Queue-Start: when the first proxy took a request in. No standard has them;
// what is found in the wild, with or without "t=":
//   nginx "t=${msec}"   1719400000.123      seconds with a fraction
//   Heroku's router     1719400000123       milliseconds
//   Apache "t=%t"       1719400000123456    microseconds
//   HAProxy, Envoy      any of these, or nanoseconds
// The unit follows from the number's size: all of them tell a time of this century.
// Pure; the values come from a trusted peer, and are checked all the same.
#pragma once

#include <cstdint>
#include <string_view>

namespace mono::http {

// Older values are another clock's, not a queue's.
constexpr int64_t kQueueTimeMaxUs = int64_t{3600} * 1'000'000;

// Unix time in microseconds; 0: none. Of a list, the first element counts.
int64_t parse_queue_start(std::string_view value);

// How long ago that was; -1: it says nothing, or what cannot be: a future, or a distant past.
int64_t queue_time_us(std::string_view value, int64_t now_unix_us);

}  // namespace mono::http
