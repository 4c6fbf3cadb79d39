#include "tls/wire_bio.hpp"

#include <gtest/gtest.h>

#include <string>

namespace mono::tls {
namespace {

class WireTest : public testing::Test {
  protected:
    std::string read(size_t size) {
        std::string bytes(size, '\0');
        size_t got = 0;
        (void)BIO_read_ex(bio_.get(), bytes.data(), bytes.size(), &got);
        bytes.resize(got);
        return bytes;
    }
    Wire wire_;
    BioMethodPtr method_ = make_wire_method();
    BioPtr bio_{make_wire_bio(method_.get(), wire_)};
};

TEST_F(WireTest, WhatWasKeptComesFirst) {
    wire_.kept.append("ab");
    wire_.in = "cd";
    EXPECT_EQ(read(1), "a");
    EXPECT_EQ(read(3), "b");
    EXPECT_EQ(read(3), "cd");
    EXPECT_TRUE(wire_.in.empty());
    EXPECT_EQ(read(3), "");
    EXPECT_TRUE(BIO_should_retry(bio_.get()));
}

TEST_F(WireTest, NothingIsReadWhileTooMuchWaits) {
    wire_.out.append(std::string(Wire::kOutBytesMax, 'x'));
    wire_.in = "a";
    EXPECT_EQ(read(1), "");
    EXPECT_TRUE(BIO_should_retry(bio_.get()));
    EXPECT_TRUE(wire_.held_back);
    wire_.out.take(1);
    EXPECT_EQ(read(1), "a");
    EXPECT_FALSE(wire_.held_back);
}

TEST_F(WireTest, WritingNeverWaits) {
    size_t written = 0;
    EXPECT_EQ(BIO_write_ex(bio_.get(), "abc", 3, &written), 1);
    EXPECT_EQ(written, 3U);
    EXPECT_EQ(wire_.out.view(), "abc");
    EXPECT_EQ(BIO_flush(bio_.get()), 1);
}

}  // namespace
}  // namespace mono::tls
