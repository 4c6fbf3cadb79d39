// PROXY headers of version 2 for tests, put together byte by byte.
#pragma once

#include <string>
#include <string_view>

#include "proxy/crc32c.hpp"

namespace mono::proxy {

inline const std::string kSignature("\r\n\r\n\0\r\nQUIT\n", 12);
// 192.0.2.1:4711 to 198.51.100.2:443.
inline const std::string kBlock4("\xC0\x00\x02\x01\xC6\x33\x64\x02\x12\x67\x01\xBB", 12);

inline std::string big_endian16(size_t number) {
    return {static_cast<char>(number >> 8), static_cast<char>(number & 255)};
}

inline std::string v2(uint8_t command, uint8_t family, const std::string& payload) {
    return kSignature + static_cast<char>(command) + static_cast<char>(family) +
           big_endian16(payload.size()) + payload;
}

inline std::string tlv(uint8_t type, std::string_view value) {
    return static_cast<char>(type) + big_endian16(value.size()) + std::string(value);
}

// A header over IPv4 with these vectors.
inline std::string v2_with(const std::string& vectors) { return v2(0x21, 0x11, kBlock4 + vectors); }

// Writes the checksum into a header that ends in an empty vector of its type.
inline std::string summed(std::string header) {
    const uint32_t sum = crc32c_end(crc32c_step(kCrc32cBegin, header));
    for (size_t byte = 0; byte < 4; ++byte)
        header[header.size() - 4 + byte] = static_cast<char>(sum >> (24 - 8 * byte));
    return header;
}

}  // namespace mono::proxy
