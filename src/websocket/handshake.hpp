// The opening handshake of a WebSocket, the server's half: RFC 6455 section 4.2. Pure: a head that
// was parsed and framed (head_parser, framing) goes in, the fields of the answer come out.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/message.hpp"
#include "http/response_head.hpp"
#include "websocket/deflate.hpp"

namespace mono::websocket {

// A GET of HTTP/1.1 whose Connection lists "upgrade" and whose Upgrade lists "websocket". Any
// other request is plain HTTP, whatever its fields are called.
bool is_opening(const char* buffer, const http::RequestHead& head);

enum class Refusal : uint8_t {
    kNone,
    kVersion,  // 426: Sec-WebSocket-Version is not 13
    kKey,      // 400: Sec-WebSocket-Key is not 16 bytes in base64, or is there twice
    kBody,     // 400: a body stands where frames would begin
    kCount,
};
struct RefusalInfo {
    uint16_t status;
    std::string_view rule;    // for the log
    std::string_view detail;  // one sentence
};
const RefusalInfo& describe(Refusal refusal);
// The whole answer, head and page; the connection closes after it.
std::string refusal_page(Refusal refusal);

// Views into the head's buffer.
struct Opening {
    std::string_view key;
    std::vector<std::string_view> subprotocols;  // in the client's order of preference
    std::optional<DeflateParams> deflate;        // what to agree on

    bool offers(std::string_view subprotocol) const;
};
[[nodiscard]] Refusal read_opening(const char* buffer, const http::RequestHead& head,
                                   const DeflateRules& rules, Opening& opening);

// Fills `answer` with the 101. Context::connection has to be "Upgrade" when it is written. An
// empty `subprotocol` names none; one that is no token is a fault, one that was not offered not:
// the application's word is passed on.
[[nodiscard]] http::HeadFault accept_ws(const Opening& opening, std::string_view subprotocol,
                                        http::ResponseHead& answer);
// A field that the application adds to the 101. What the handshake itself says (Upgrade,
// Connection, Sec-WebSocket-*) and what speaks of a body is a fault: kNameInvalid.
[[nodiscard]] http::HeadFault add_field(std::string_view name, std::string_view value,
                                        http::ResponseHead& answer);

// Sec-WebSocket-Accept for a key, RFC 6455 section 4.2.2.
std::string accept_value(std::string_view key);

}  // namespace mono::websocket
