#include "http2/preface.hpp"

#include <algorithm>
#include <cstddef>

#include "http/names.hpp"

namespace mono::http2 {
namespace {

constexpr uint32_t kWindowMax = 0x7FFFFFFF;
constexpr uint32_t kFrameBytesMin = 16384;
constexpr uint32_t kFrameBytesMax = 16777215;
constexpr size_t kEntryBytes = 6;
constexpr size_t kEntriesMax = 32;
constexpr uint16_t kEnablePush = 0x2;
constexpr uint16_t kInitialWindowSize = 0x4;
constexpr uint16_t kMaxFrameSize = 0x5;

// RFC 4648 section 5; -1 for what is no digit of it.
int digit_of(char byte) {
    if (byte >= 'A' && byte <= 'Z') return byte - 'A';
    if (byte >= 'a' && byte <= 'z') return byte - 'a' + 26;
    if (byte >= '0' && byte <= '9') return byte - '0' + 52;
    if (byte == '-') return 62;
    return byte == '_' ? 63 : -1;
}

// Without padding, as RFC 7540 section 3.2.1 has it; padding is forgiven.
bool decode_base64url(std::string_view text, std::string& out) {
    out.clear();
    for (int pad = 0; pad < 2 && text.ends_with('='); ++pad) text.remove_suffix(1);
    if (text.size() % 4 == 1) return false;
    uint32_t bits = 0;
    int held = 0;
    for (const char byte : text) {
        const int digit = digit_of(byte);
        if (digit < 0) return false;
        bits = bits << 6 | static_cast<uint32_t>(digit);
        held += 6;
        if (held < 8) continue;
        held -= 8;
        out += static_cast<char>(bits >> held & 0xFF);
        bits &= (1U << held) - 1;
    }
    return bits == 0;
}

uint32_t number_at(std::string_view bytes, size_t size) {
    uint32_t number = 0;
    for (size_t at = 0; at < size; ++at) number = number << 8 | static_cast<uint8_t>(bytes[at]);
    return number;
}

bool is_valid_entry(std::string_view entry) {
    const auto id = static_cast<uint16_t>(number_at(entry, 2));
    const uint32_t value = number_at(entry.substr(2), 4);
    if (id == kEnablePush) return value <= 1;
    if (id == kInitialWindowSize) return value <= kWindowMax;
    if (id == kMaxFrameSize) return value >= kFrameBytesMin && value <= kFrameBytesMax;
    return true;
}

bool are_valid_settings(std::string_view payload) {
    if (payload.size() % kEntryBytes != 0 || payload.size() > kEntriesMax * kEntryBytes)
        return false;
    for (; !payload.empty(); payload.remove_prefix(kEntryBytes))
        if (!is_valid_entry(payload)) return false;
    return true;
}

bool lists(std::string_view list, std::string_view wanted) {
    bool found = false;
    http::for_each_list_element(list, [&](std::string_view element) {
        found = http::equals_ignoring_case(element, wanted);
        return !found;
    });
    return found;
}

}  // namespace

Preface match_preface(std::string_view bytes) {
    const size_t seen = std::min(bytes.size(), kPreface.size());
    if (bytes.substr(0, seen) != kPreface.substr(0, seen)) return Preface::kNo;
    return seen == kPreface.size() ? Preface::kYes : Preface::kNeedMore;
}

bool accepts_upgrade(const UpgradeFields& fields, std::string& payload) {
    return fields.upgrade == "h2c" && fields.settings_count == 1 &&
           lists(fields.connection, "upgrade") && lists(fields.connection, "http2-settings") &&
           decode_base64url(fields.settings, payload) && are_valid_settings(payload);
}

}  // namespace mono::http2
