// The Priority field of a request, RFC 9218 section 4: how soon its response is wanted. Pure.
#pragma once

#include <cstdint>
#include <string_view>

namespace mono::http2 {

struct Priority {
    uint8_t urgency = 3;  // 0, the most urgent, to 7
    bool incremental = false;

    bool operator==(const Priority&) const = default;
};

// What cannot be read keeps the default (RFC 9218 section 4: unknown and bad parameters are
// ignored). A later parameter replaces an earlier one of its name.
Priority parse_priority(std::string_view value);

}  // namespace mono::http2
