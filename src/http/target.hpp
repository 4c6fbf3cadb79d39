// Request targets, RFC 9112 section 3.2: the four forms, their parts, percent-decoding, and the
// grammar of Host (RFC 9110 section 7.2, RFC 3986 section 3.2.2).
#pragma once

#include <cstddef>
#include <string_view>

#include "http/error.hpp"
#include "http/message.hpp"

namespace mono::http {

// Fills form, path, query, authority and path_plain of `head` from its method and target.
// `buffer` is the one that the head's slices refer to.
[[nodiscard]] Error split_target(const char* buffer, RequestHead& head);

// Decodes %HH of `encoded` into `out` (room for encoded.size() bytes); returns the length written.
// A "%" without two hexadecimal digits stays as it is, as urllib does.
size_t percent_decode(std::string_view encoded, char* out);

// host [":" port] with host = IP-literal / IPv4address / reg-name; empty is valid (RFC 9112 3.2).
bool is_valid_host(std::string_view value);

}  // namespace mono::http
