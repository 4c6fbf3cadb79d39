// What follows from a complete head: the body's framing, persistence, Expect and Upgrade.
// RFC 9112 sections 6 and 9.3, RFC 9110 sections 7.8 and 10.1.1.
#pragma once

#include "http/error.hpp"
#include "http/message.hpp"
#include "http1/head_parser.hpp"

namespace mono::http1 {

// Fills the framing part of `head`; checks duplicates (Host, Content-Type, Content-Length),
// Host grammar, Transfer-Encoding rules, Connection as a token list. The authority of the target,
// where it has one, becomes the value of Host.
// "Content-Length: 0" is BodyKind::kNone. CONNECT and a compressed transfer coding (which is not
// decoded) end the connection.
[[nodiscard]] http::FramingError apply_framing(const char* buffer, http::RequestHead& head);

}  // namespace mono::http1
