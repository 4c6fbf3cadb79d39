// SHA-1, FIPS 180-4, for the one thing that RFC 6455 section 4.2.2 wants of it: to show that the
// server has read the key. It protects nothing, so it stays private to the opening handshake.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace mono::websocket {

std::array<uint8_t, 20> sha1(std::string_view text);

}  // namespace mono::websocket
