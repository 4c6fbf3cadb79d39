// HTTP dates, RFC 9110 section 5.6.7: "Sun, 06 Nov 1994 08:49:37 GMT".
#pragma once

#include <cstdint>
#include <string>

namespace mono::http {

std::string format_date(int64_t unix_seconds);

}  // namespace mono::http
