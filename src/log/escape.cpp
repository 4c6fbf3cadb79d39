#include "log/escape.hpp"

#include <array>
#include <cstdint>

namespace mono::log {
namespace {

enum Class : uint8_t { kClean = 0, kBackslash = 1, kHex = 2 };

constexpr std::array<uint8_t, 256> make_classes() {
    std::array<uint8_t, 256> classes{};
    for (size_t byte = 0; byte < 256; ++byte) {
        if (byte < 0x20 || byte >= 0x7F) classes[byte] = kHex;
    }
    classes['"'] = kBackslash;
    classes['\\'] = kBackslash;
    return classes;
}

constexpr std::array<uint8_t, 256> kClasses = make_classes();
constexpr char kDigits[] = "0123456789ABCDEF";

uint8_t class_of(char byte) { return kClasses[static_cast<uint8_t>(byte)]; }

void append_hex(std::string_view prefix, char byte, std::string& out) {
    const auto value = static_cast<uint8_t>(byte);
    out.append(prefix);
    out.push_back(kDigits[value >> 4]);
    out.push_back(kDigits[value & 15]);
}

size_t clean_prefix(std::string_view text) {
    size_t length = 0;
    while (length < text.size() && class_of(text[length]) == kClean) ++length;
    return length;
}

bool is_continuation(char byte) { return (static_cast<uint8_t>(byte) & 0xC0) == 0x80; }

// The second byte's range is what excludes overlong forms, surrogates and values past U+10FFFF.
bool second_byte_fits(uint8_t first, uint8_t second) {
    if (first == 0xE0) return second >= 0xA0;
    if (first == 0xED) return second <= 0x9F;
    if (first == 0xF0) return second >= 0x90;
    if (first == 0xF4) return second <= 0x8F;
    return true;
}

void append_json_special(char byte, std::string& out) {
    if (class_of(byte) == kBackslash) {
        out.push_back('\\');
        out.push_back(byte);
        return;
    }
    append_hex("\\u00", byte, out);
}

char32_t decode(std::string_view sequence) {
    auto code =
        static_cast<char32_t>(static_cast<uint8_t>(sequence[0]) & (0x7F >> sequence.size()));
    for (char byte : sequence.substr(1)) code = code << 6 | (static_cast<uint8_t>(byte) & 0x3F);
    return code;
}

// Characters that are valid and still shape the line on a terminal or in a viewer: C1 controls
// (U+009B begins a sequence), line and paragraph separators, and what turns the direction.
bool shapes_the_line(char32_t code) {
    return (code >= 0x80 && code <= 0x9F) || (code >= 0x2028 && code <= 0x202E) ||
           (code >= 0x2066 && code <= 0x2069);
}

void append_code(char32_t code, std::string& out) {
    out.append("\\u");
    for (int shift = 12; shift >= 0; shift -= 4) out.push_back(kDigits[(code >> shift) & 15]);
}

bool is_bare_logfmt(std::string_view text) {
    if (text.empty()) return false;
    for (char byte : text) {
        if (class_of(byte) != kClean || byte == ' ' || byte == '=') return false;
    }
    return true;
}

}  // namespace

size_t utf8_sequence_length(std::string_view text) {
    if (text.empty()) return 0;
    const auto first = static_cast<uint8_t>(text[0]);
    if (first < 0x80) return 1;
    const size_t length = first >= 0xC2 && first <= 0xDF   ? 2
                          : first >= 0xE0 && first <= 0xEF ? 3
                          : first >= 0xF0 && first <= 0xF4 ? 4
                                                           : 0;
    if (length == 0 || text.size() < length) return 0;
    for (size_t i = 1; i < length; ++i) {
        if (!is_continuation(text[i])) return 0;
    }
    return second_byte_fits(first, static_cast<uint8_t>(text[1])) ? length : 0;
}

void append_plain(std::string_view text, std::string& out) {
    while (!text.empty()) {
        const size_t clean = clean_prefix(text);
        out.append(text.data(), clean);
        text.remove_prefix(clean);
        if (text.empty()) return;
        if (class_of(text[0]) == kBackslash) {
            out.push_back('\\');
            out.push_back(text[0]);
        } else {
            append_hex("\\x", text[0], out);
        }
        text.remove_prefix(1);
    }
}

void append_json(std::string_view text, std::string& out) {
    out.push_back('"');
    while (!text.empty()) {
        const size_t clean = clean_prefix(text);
        out.append(text.data(), clean);
        text.remove_prefix(clean);
        if (text.empty()) break;
        const size_t sequence = utf8_sequence_length(text);
        if (sequence > 1) {
            const std::string_view character = text.substr(0, sequence);
            const char32_t code = decode(character);
            if (shapes_the_line(code)) {
                append_code(code, out);
            } else {
                out.append(character);
            }
            text.remove_prefix(sequence);
        } else {
            append_json_special(text[0], out);
            text.remove_prefix(1);
        }
    }
    out.push_back('"');
}

void append_logfmt(std::string_view text, std::string& out) {
    if (is_bare_logfmt(text)) {
        out.append(text);
        return;
    }
    out.push_back('"');
    append_plain(text, out);
    out.push_back('"');
}

}  // namespace mono::log
