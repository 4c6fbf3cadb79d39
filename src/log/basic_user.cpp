#include "log/basic_user.hpp"

#include <cstdint>

#include "http/names.hpp"

namespace mono::log {
namespace {

constexpr size_t kUserBytesMax = 256;

int base64_digit(char byte) {
    if (byte >= 'A' && byte <= 'Z') return byte - 'A';
    if (byte >= 'a' && byte <= 'z') return byte - 'a' + 26;
    if (byte >= '0' && byte <= '9') return byte - '0' + 52;
    if (byte == '+') return 62;
    if (byte == '/') return 63;
    return -1;
}

}  // namespace

bool basic_user(std::string_view authorization, std::string& user) {
    user.clear();
    const size_t space = authorization.find(' ');
    if (space == std::string_view::npos) return false;
    if (!http::equals_ignoring_case(authorization.substr(0, space), "basic")) return false;
    std::string_view encoded = authorization.substr(space);
    while (!encoded.empty() && encoded.front() == ' ') encoded.remove_prefix(1);
    // Decoding stops at the colon, so the password is not even decoded.
    uint32_t bits = 0;
    int count = 0;
    for (char byte : encoded) {
        const int digit = base64_digit(byte);
        if (digit < 0) return false;
        bits = (bits << 6) | static_cast<uint32_t>(digit);
        count += 6;
        if (count < 8) continue;
        count -= 8;
        const char decoded = static_cast<char>((bits >> count) & 0xFF);
        if (decoded == ':') return true;
        if (user.size() == kUserBytesMax) return false;
        user.push_back(decoded);
    }
    return false;
}

}  // namespace mono::log
