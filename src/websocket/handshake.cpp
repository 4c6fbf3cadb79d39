#include "websocket/handshake.hpp"

#include <algorithm>
#include <cstddef>

#include "http/names.hpp"
#include "websocket/sha1.hpp"

namespace mono::websocket {
namespace {

constexpr size_t kKeyBytes = 24;  // 16 bytes in base64
constexpr std::string_view kPrefix = "sec-websocket-";

// In the order of the enumeration.
constexpr RefusalInfo kTable[] = {
    {101, "none", "No fault."},
    {426, "ws-version", "This server speaks version 13 of the WebSocket protocol."},
    {400, "ws-key", "The Sec-WebSocket-Key field is not 16 bytes in base64."},
    {400, "ws-body", "A request for a WebSocket has a body."},
};
static_assert(sizeof(kTable) / sizeof(kTable[0]) == static_cast<size_t>(Refusal::kCount),
              "one row for every Refusal");

bool begins_with_prefix(std::string_view name) {
    return name.size() > kPrefix.size() &&
           http::equals_ignoring_case(name.substr(0, kPrefix.size()), kPrefix);
}

constexpr bool is_base64(char byte) {
    const auto lower = static_cast<char>(byte | 0x20);
    return (lower >= 'a' && lower <= 'z') || (byte >= '0' && byte <= '9') || byte == '+' ||
           byte == '/';
}

bool is_key(std::string_view text) {
    return text.size() == kKeyBytes && text.ends_with("==") &&
           std::all_of(text.begin(), text.end() - 2, is_base64);
}

std::string base64(const std::array<uint8_t, 20>& bytes) {
    constexpr std::string_view kDigits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    for (size_t at = 0; at < bytes.size(); at += 3) {
        const size_t here = std::min<size_t>(3, bytes.size() - at);
        uint32_t three = 0;
        for (size_t more = 0; more < 3; ++more)
            three = three << 8 | (more < here ? bytes[at + more] : 0U);
        for (size_t digit = 0; digit < 4; ++digit)
            out += digit <= here ? kDigits[(three >> (18 - 6 * digit)) & 0x3F] : '=';
    }
    return out;
}

// What one pass over the fields collects.
struct Collected {
    std::string_view key;
    std::string_view version;
    std::string extensions;  // all lines, joined: RFC 6455 section 9.1
    int keys = 0;
    int versions = 0;
};

void take_field(std::string_view name, std::string_view value, Collected& collected,
                Opening& opening) {
    if (http::equals_ignoring_case(name, "key")) {
        collected.key = value;
        ++collected.keys;
    } else if (http::equals_ignoring_case(name, "version")) {
        collected.version = value;
        ++collected.versions;
    } else if (http::equals_ignoring_case(name, "extensions")) {
        collected.extensions.append(collected.extensions.empty() ? "" : ",").append(value);
    } else if (http::equals_ignoring_case(name, "protocol")) {
        http::for_each_list_element(value, [&opening](std::string_view element) {
            if (http::is_token(element)) opening.subprotocols.push_back(element);
            return true;
        });
    }
}

}  // namespace

const RefusalInfo& describe(Refusal refusal) { return kTable[static_cast<size_t>(refusal)]; }

bool is_opening(const char* buffer, const http::RequestHead& head) {
    if (!head.upgrade || head.method.in(buffer) != "GET") return false;
    bool found = false;
    for (const http::Field& field : head.fields) {
        if (field.known != http::KnownField::kUpgrade) continue;
        http::for_each_list_element(field.value.in(buffer), [&found](std::string_view protocol) {
            found |= http::equals_ignoring_case(protocol, "websocket");
            return !found;
        });
    }
    return found;
}

// RFC 6455 section 4.2.1. A wrong version is told first: a key of another version may differ.
Refusal read_opening(const char* buffer, const http::RequestHead& head, const DeflateRules& rules,
                     Opening& opening) {
    opening = {};
    Collected collected;
    for (const http::Field& field : head.fields) {
        const std::string_view name = field.name.in(buffer);
        if (field.known != http::KnownField::kOther || !begins_with_prefix(name)) continue;
        take_field(name.substr(kPrefix.size()), field.value.in(buffer), collected, opening);
    }
    if (collected.versions != 1 || collected.version != "13") return Refusal::kVersion;
    if (collected.keys != 1 || !is_key(collected.key)) return Refusal::kKey;
    if (head.body != http::BodyKind::kNone) return Refusal::kBody;
    opening.key = collected.key;
    opening.deflate = negotiate_deflate(collected.extensions, rules);
    return Refusal::kNone;
}

bool Opening::offers(std::string_view subprotocol) const {
    return std::find(subprotocols.begin(), subprotocols.end(), subprotocol) != subprotocols.end();
}

// RFC 9110 section 15.5.22: a 426 names the protocol; RFC 6455 section 4.4: and its version.
std::string refusal_page(Refusal refusal) {
    const RefusalInfo& info = describe(refusal);
    std::string page = http::error_page(info.status, info.detail, {});
    if (refusal == Refusal::kVersion) {
        page.insert(page.find("\r\n") + 2,
                    "Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\n");
    }
    return page;
}

std::string accept_value(std::string_view key) {
    return base64(sha1(std::string(key) + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
}

http::HeadFault accept_ws(const Opening& opening, std::string_view subprotocol,
                          http::ResponseHead& answer) {
    answer.clear();
    if (!subprotocol.empty() && !http::is_token(subprotocol)) return http::HeadFault::kValueInvalid;
    const auto add = [&answer](http::HeadFault fault, std::string_view name,
                               std::string_view value) {
        return fault != http::HeadFault::kNone ? fault : answer.add(name, value);
    };
    http::HeadFault fault = answer.set_status("101 Switching Protocols");
    fault = add(fault, "Upgrade", "websocket");
    fault = add(fault, "Sec-WebSocket-Accept", accept_value(opening.key));
    if (!subprotocol.empty()) fault = add(fault, "Sec-WebSocket-Protocol", subprotocol);
    if (opening.deflate)
        fault = add(fault, "Sec-WebSocket-Extensions", write_deflate(*opening.deflate));
    return fault;
}

http::HeadFault add_field(std::string_view name, std::string_view value,
                          http::ResponseHead& answer) {
    if (begins_with_prefix(name)) return http::HeadFault::kNameInvalid;
    for (const std::string_view own :
         {"upgrade", "connection", "content-length", "transfer-encoding"})
        if (http::equals_ignoring_case(name, own)) return http::HeadFault::kNameInvalid;
    return answer.add(name, value);
}

}  // namespace mono::websocket
