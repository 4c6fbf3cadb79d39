// What follows from a complete head: the body's framing, persistence, Expect and Upgrade.
// RFC 9112 sections 6 and 9.3, RFC 9110 sections 7.8 and 10.1.1.
#pragma once

#include "http/error.hpp"
#include "http/head_parser.hpp"
#include "http/message.hpp"

namespace mono::http {

struct FramingError {
    Error error = Error::kNone;
    uint32_t offset = 0;  // of the offending field's name, from the request's first byte
};

// Fills the framing part of `head`; checks duplicates (Host, Content-Type, Content-Length),
// Host grammar, Transfer-Encoding rules, Connection as a token list. The authority of the target,
// where it has one, becomes the value of Host.
// "Content-Length: 0" is BodyKind::kNone. CONNECT and a compressed transfer coding (which is not
// decoded) end the connection.
[[nodiscard]] FramingError apply_framing(const char* buffer, RequestHead& head);

}  // namespace mono::http
