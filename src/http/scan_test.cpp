// The vector code against the scalar code, at every size and place; exact heap blocks, so that
// AddressSanitizer sees a read outside [base, end).
#include "http/scan.hpp"

#include <gtest/gtest.h>

#include <memory>

namespace mono::http::scan {
namespace {

constexpr size_t kSizes = 50;

struct Block {
    explicit Block(size_t count) : bytes(new char[count]), size(count) {
        for (size_t at = 0; at < count; ++at) bytes[at] = 'a';
    }
    std::unique_ptr<char[]> bytes;
    size_t size;
    const char* end() const { return bytes.get() + size; }
};

template <class Check>
void at_every_place(Check check) {
    for (size_t size = 0; size < kSizes; ++size) {
        for (size_t begin = 0; begin <= size; ++begin) {
            for (size_t place = 0; place < size; ++place) {
                Block block(size);
                check(block, block.bytes.get() + begin, block.bytes[place]);
            }
        }
    }
}

TEST(Find, AgreesWithTheScalarLoop) {
    at_every_place([](const Block& block, const char* begin, char& place) {
        place = '\n';
        ASSERT_EQ(find(block.bytes.get(), begin, block.end(), '\n'),
                  find_scalar(begin, block.end(), '\n'));
    });
}

TEST(CheckField, AgreesWithTheScalarLoop) {
    at_every_place([](const Block& block, const char* begin, char& place) {
        for (const int byte : {0x00, 0x09, 0x0A, 0x1F, 0x20, 0x7E, 0x7F, 0x80, 0xFF}) {
            place = static_cast<char>(byte);
            const Checked fast = check_field(block.bytes.get(), begin, block.end());
            const Checked slow = check_field_scalar(begin, block.end());
            ASSERT_EQ(fast.bad, slow.bad) << byte;
            if (slow.bad == block.end()) {
                ASSERT_EQ(fast.ascii, slow.ascii) << byte;
            }
        }
    });
}

TEST(CheckTarget, AgreesWithTheScalarLoop) {
    at_every_place([](const Block& block, const char* begin, char& place) {
        for (const int byte : {0x00, 0x20, 0x21, 0x7E, 0x7F, 0x80, 0xFF}) {
            place = static_cast<char>(byte);
            ASSERT_EQ(check_target(block.bytes.get(), begin, block.end()),
                      check_target_scalar(begin, block.end()))
                << byte;
        }
    });
}

TEST(Classes, AreThoseOfTheContract) {
    for (int number = 0; number < 256; ++number) {
        const char byte = static_cast<char>(number);
        EXPECT_EQ(is_field_byte(byte), number == 9 || (number >= 0x20 && number != 0x7F));
        EXPECT_EQ(is_target_byte(byte), number >= 0x21 && number <= 0x7E);
        char lane[16];
        for (char& each : lane) each = byte;
        EXPECT_EQ(check_field(lane, lane, lane + 16).bad == lane + 16, is_field_byte(byte));
        EXPECT_EQ(check_target(lane, lane, lane + 16) == lane + 16, is_target_byte(byte));
    }
}

}  // namespace
}  // namespace mono::http::scan
