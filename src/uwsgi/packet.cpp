#include "uwsgi/packet.hpp"

namespace mono::uwsgi {
namespace {

constexpr size_t kSizeBytes = 2;
constexpr char kWebRequest = 0;  // the modifier of requests; the others are uWSGI's own business

size_t little_endian16(std::string_view bytes, size_t at) {
    return static_cast<uint8_t>(bytes[at]) |
           static_cast<size_t>(static_cast<uint8_t>(bytes[at + 1])) << 8;
}

// A text with its size before it.
bool next_text(std::string_view variables, size_t& at, std::string_view& text) {
    if (variables.size() - at < kSizeBytes) return false;
    const size_t size = little_endian16(variables, at);
    at += kSizeBytes;
    if (size > variables.size() - at) return false;
    text = variables.substr(at, size);
    at += size;
    return true;
}

Packet malformed(http::Error error, size_t offset) {
    return {Status::kMalformed, {error, offset}, {}, 0};
}

}  // namespace

Packet take_packet(std::string_view bytes, size_t packet_bytes_max) {
    if (bytes.empty()) return {};
    if (bytes[0] != kWebRequest) return malformed(http::Error::kUwsgiModifier, 0);
    if (bytes.size() < kPrefixBytes) return {};
    const size_t size = kPrefixBytes + little_endian16(bytes, 1);
    if (size > packet_bytes_max) return malformed(http::Error::kHeadTooLong, 1);
    if (bytes.size() < size) return {};
    return {Status::kDone, {}, bytes.substr(kPrefixBytes, size - kPrefixBytes), size};
}

bool next_variable(std::string_view variables, size_t& at, Variable& variable) {
    variable.offset = kPrefixBytes + at;
    return next_text(variables, at, variable.name) && next_text(variables, at, variable.value);
}

void append_size(size_t size, std::string& out) {
    out += static_cast<char>(size & 255);
    out += static_cast<char>(size >> 8);
}

std::string write_packet(Pairs variables) {
    std::string text;
    for (const auto& [name, value] : variables) {
        append_size(name.size(), text);
        text += name;
        append_size(value.size(), text);
        text += value;
    }
    std::string packet(1, '\0');
    append_size(text.size(), packet);
    return packet + '\0' + text;
}

}  // namespace mono::uwsgi
