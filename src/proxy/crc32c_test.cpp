#include "proxy/crc32c.hpp"

#include <gtest/gtest.h>

#include <string>

namespace mono::proxy {
namespace {

uint32_t sum(std::string_view bytes) { return crc32c_end(crc32c_step(kCrc32cBegin, bytes)); }

// RFC 3720, appendix B.4.
TEST(Crc32c, KnownSums) {
    EXPECT_EQ(sum(""), 0u);
    EXPECT_EQ(sum(std::string(32, '\0')), 0x8A9136AAU);
    EXPECT_EQ(sum(std::string(32, '\xFF')), 0x62A8AB43U);
    std::string rising;
    for (char byte = 0; byte < 32; ++byte) rising += byte;
    EXPECT_EQ(sum(rising), 0x46DD794EU);
}

TEST(Crc32c, GoesOnWhereItStopped) {
    EXPECT_EQ(crc32c_end(crc32c_step(crc32c_step(kCrc32cBegin, "1234"), "56789")), 0xE3069283U);
}

}  // namespace
}  // namespace mono::proxy
