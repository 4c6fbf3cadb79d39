#include "uwsgi/target.hpp"

#include <array>
#include <cstdint>

#include "http/target.hpp"

namespace mono::uwsgi {
namespace {

constexpr std::string_view kHexDigits = "0123456789ABCDEF";

// pchar of RFC 3986 section 3.3 without "%", and "/".
constexpr std::array<bool, 256> make_path_bytes() {
    std::array<bool, 256> table{};
    for (const char byte : std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                            "0123456789-._~!$&'()*+,;=:@/"))
        table[static_cast<uint8_t>(byte)] = true;
    return table;
}
constexpr std::array<bool, 256> kPathBytes = make_path_bytes();

constexpr bool is_visible(char byte) { return byte > 0x20 && byte < 0x7F; }

void append_encoded(char byte, std::string& out) {
    const auto value = static_cast<uint8_t>(byte);
    out += '%';
    out += kHexDigits[value >> 4];
    out += kHexDigits[value & 15];
}

void append_path(std::string_view path, std::string& out) {
    for (const char byte : path) {
        if (kPathBytes[static_cast<uint8_t>(byte)])
            out += byte;
        else
            append_encoded(byte, out);
    }
}

// A query is encoded already; what can stand in no target at all is encoded here.
void append_query(std::string_view query, std::string& out) {
    if (query.empty()) return;
    out += '?';
    for (const char byte : query) {
        if (is_visible(byte) && byte != '#')
            out += byte;
        else
            append_encoded(byte, out);
    }
}

bool is_origin_form(std::string_view uri) {
    if (uri.empty() || uri[0] != '/') return false;
    for (const char byte : uri)
        if (!is_visible(byte) || byte == '#') return false;
    return true;
}

std::string decoded(std::string_view encoded) {
    std::string text(encoded.size(), '\0');
    text.resize(http::percent_decode(encoded, text.data()));
    return text;
}

// `path` is `script`, or goes on below it.
bool is_below(std::string_view path, std::string_view script) {
    return path.starts_with(script) && (path.size() == script.size() || path[script.size()] == '/');
}

// What a mount is called: "/app", whether or not it was written with a slash behind it.
std::string_view mount_of(std::string_view script) {
    while (script.ends_with('/')) script.remove_suffix(1);
    return script.starts_with('/') ? script : std::string_view();
}

}  // namespace

Target append_target(const Place& place, std::string& out) {
    const std::string_view script = mount_of(place.script);
    const bool uri = is_origin_form(place.uri);
    const size_t mark = place.uri.find('?');
    const std::string_view uri_path = place.uri.substr(0, mark);
    const std::string_view uri_query =
        mark == std::string_view::npos ? std::string_view() : place.uri.substr(mark + 1);
    if (!place.has_path) {
        out += uri ? place.uri : std::string_view("/");
        return {true, uri && is_below(uri_path, script) ? script.size() : 0};
    }
    if (place.path == "*" && place.method == "OPTIONS") {
        out += '*';
        return {true, 0};
    }
    if (!place.path.empty() && place.path[0] != '/') return {};

    const std::string said = uri ? decoded(uri_path) : std::string();
    std::string whole = std::string(script) + std::string(place.path);
    if (uri && whole != said && is_below(place.path, script)) whole = place.path;
    if (whole.empty()) whole = "/";
    if (uri && whole == said && uri_query == place.query && uri_path.starts_with(script)) {
        out += place.uri;
        return {true, script.size()};
    }
    const size_t begin = out.size();
    append_path(script, out);
    const size_t script_bytes = out.size() - begin;
    append_path(std::string_view(whole).substr(script.size()), out);
    append_query(place.query, out);
    return {true, script_bytes};
}

}  // namespace mono::uwsgi
