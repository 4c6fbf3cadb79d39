#include "http/target.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>

#include "http/names.hpp"

namespace mono::http {
namespace {

constexpr bool is_digit(char byte) { return byte >= '0' && byte <= '9'; }
constexpr bool is_alpha(char byte) {
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

constexpr int hex_digit(char byte) {
    if (is_digit(byte)) return byte - '0';
    if (byte >= 'a' && byte <= 'f') return byte - 'a' + 10;
    if (byte >= 'A' && byte <= 'F') return byte - 'A' + 10;
    return -1;
}

// unreserved / sub-delims, RFC 3986 sections 2.2 and 2.3.
constexpr std::array<bool, 256> make_name_bytes() {
    std::array<bool, 256> table{};
    for (int byte = 0; byte < 128; ++byte) {
        const char letter = static_cast<char>(byte);
        table[static_cast<size_t>(byte)] = is_alpha(letter) || is_digit(letter);
    }
    for (const char byte : std::string_view("-._~!$&'()*+,;=")) table[uint8_t(byte)] = true;
    return table;
}
constexpr std::array<bool, 256> kNameBytes = make_name_bytes();

bool is_reg_name(std::string_view name) {
    for (size_t at = 0; at < name.size(); ++at) {
        if (kNameBytes[static_cast<uint8_t>(name[at])]) continue;
        if (name[at] != '%' || name.size() - at < 3) return false;
        if (hex_digit(name[at + 1]) < 0 || hex_digit(name[at + 2]) < 0) return false;
        at += 2;
    }
    return true;
}

// "v" 1*HEXDIG "." 1*( unreserved / sub-delims / ":" )
bool is_ip_future(std::string_view text) {
    size_t at = 1;
    while (at < text.size() && hex_digit(text[at]) >= 0) ++at;
    if (at == 1 || at + 1 >= text.size() || text[at] != '.') return false;
    for (++at; at < text.size(); ++at)
        if (!kNameBytes[static_cast<uint8_t>(text[at])] && text[at] != ':') return false;
    return true;
}

bool is_ip_literal(std::string_view text) {
    if (text.empty()) return false;
    if (text[0] == 'v' || text[0] == 'V') return is_ip_future(text);
    std::array<char, INET6_ADDRSTRLEN> terminated{};
    if (text.size() >= terminated.size()) return false;
    if (text.find('\0') != std::string_view::npos) return false;
    std::memcpy(terminated.data(), text.data(), text.size());
    in6_addr address;
    return inet_pton(AF_INET6, terminated.data(), &address) == 1;
}

// Digits only; more than 65535 names no port. Leading zeros are grammatical.
bool is_port(std::string_view port) {
    uint32_t number = 0;
    for (const char digit : port) {
        if (!is_digit(digit)) return false;
        number = number * 10 + static_cast<uint32_t>(digit - '0');
        if (number > 65535) return false;
    }
    return true;
}

struct Authority {
    bool valid = false;
    std::string_view host;  // with the brackets of an IP literal
    std::string_view port;
};

Authority split_authority(std::string_view value) {
    Authority parts;
    size_t host_end = value.find(':');
    if (!value.empty() && value.front() == '[') {
        const size_t bracket = value.find(']');
        if (bracket == std::string_view::npos) return parts;
        host_end = bracket + 1;
        if (host_end < value.size() && value[host_end] != ':') return parts;
        if (!is_ip_literal(value.substr(1, bracket - 1))) return parts;
    }
    parts.host = value.substr(0, host_end);
    if (host_end < value.size()) parts.port = value.substr(host_end + 1);
    const bool literal = !value.empty() && value.front() == '[';
    parts.valid = (literal || is_reg_name(parts.host)) && is_port(parts.port);
    return parts;
}

bool is_scheme(std::string_view scheme) {
    if (scheme.empty() || !is_alpha(scheme[0])) return false;
    for (const char byte : scheme)
        if (!is_alpha(byte) && !is_digit(byte) && byte != '+' && byte != '-' && byte != '.')
            return false;
    return true;
}

// path [ "?" query ] [ "#" fragment ] from `begin` on, all offsets into the buffer.
void split_path(const char* buffer, uint32_t begin, uint32_t end, RequestHead& head) {
    uint32_t at = begin;
    bool plain = true;
    for (; at < end && buffer[at] != '?' && buffer[at] != '#'; ++at) plain &= buffer[at] != '%';
    head.path = {begin, at - begin};
    head.path_plain = plain;
    head.query = {at, 0};
    if (at == end || buffer[at] == '#') return;
    const uint32_t query = at + 1;
    const auto* fragment = static_cast<const char*>(std::memchr(buffer + query, '#', end - query));
    const uint32_t query_end = fragment ? static_cast<uint32_t>(fragment - buffer) : end;
    head.query = {query, query_end - query};
}

// RFC 9112 section 3.2.2; user information is refused (RFC 9110 section 4.2.4: "ought to be
// treated as an error"), and so is an empty host (section 4.2.1).
Error split_absolute(const char* buffer, RequestHead& head) {
    const std::string_view target = head.target.in(buffer);
    const size_t separator = target.find("://");
    if (separator == std::string_view::npos) return Error::kTargetInvalid;
    if (!is_scheme(target.substr(0, separator))) return Error::kTargetInvalid;
    const size_t begin = separator + 3;
    const size_t end = std::min(target.find_first_of("/?#", begin), target.size());
    const Authority authority = split_authority(target.substr(begin, end - begin));
    if (!authority.valid || authority.host.empty()) return Error::kTargetInvalid;

    const uint32_t offset = head.target.offset;
    const uint32_t path = offset + static_cast<uint32_t>(end);
    head.form = TargetForm::kAbsolute;
    head.authority = {offset + static_cast<uint32_t>(begin), static_cast<uint32_t>(end - begin)};
    split_path(buffer, path, offset + head.target.length, head);
    // An empty path means "/" (RFC 9110 section 4.2.3): show the slash before the authority.
    if (head.path.empty()) head.path = {head.authority.offset - 1, 1};
    return Error::kNone;
}

}  // namespace

Error split_target(const char* buffer, RequestHead& head) {
    const std::string_view method = head.method.in(buffer);
    const std::string_view target = head.target.in(buffer);
    if (target.empty()) return Error::kTargetInvalid;
    const uint32_t begin = head.target.offset;
    const uint32_t end = begin + head.target.length;
    head.authority = {begin, 0};

    if (method == "CONNECT") {  // authority-form only, with a port (RFC 9110 section 9.3.6)
        const Authority authority = split_authority(target);
        if (!authority.valid || authority.host.empty() || authority.port.empty())
            return Error::kTargetInvalid;
        head.form = TargetForm::kAuthority;
        head.authority = head.target;
        head.path = head.query = {end, 0};
        head.path_plain = true;
        return Error::kNone;
    }
    if (target.front() == '/') {
        head.form = TargetForm::kOrigin;
        split_path(buffer, begin, end, head);
        return Error::kNone;
    }
    if (target == "*") {
        if (method != "OPTIONS") return Error::kTargetInvalid;
        head.form = TargetForm::kAsterisk;
        head.path = head.target;
        head.query = {end, 0};
        head.path_plain = true;
        return Error::kNone;
    }
    return split_absolute(buffer, head);
}

size_t percent_decode(std::string_view encoded, char* out) {
    char* const begin = out;
    size_t at = 0;
    while (at < encoded.size()) {
        const auto* percent =
            static_cast<const char*>(std::memchr(encoded.data() + at, '%', encoded.size() - at));
        const size_t stop =
            percent ? static_cast<size_t>(percent - encoded.data()) : encoded.size();
        std::memmove(out, encoded.data() + at, stop - at);  // `out` may be `encoded` itself
        out += stop - at;
        at = stop;
        if (at == encoded.size()) break;
        const bool pair = encoded.size() - at >= 3;
        const int high = pair ? hex_digit(encoded[at + 1]) : -1;
        const int low = pair ? hex_digit(encoded[at + 2]) : -1;
        const bool valid = high >= 0 && low >= 0;
        *out++ = valid ? static_cast<char>(high << 4 | low) : '%';
        at += valid ? 3 : 1;
    }
    return static_cast<size_t>(out - begin);
}

bool is_valid_host(std::string_view value) { return split_authority(value).valid; }

}  // namespace mono::http
