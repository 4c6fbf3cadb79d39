#include "log/basic_user.hpp"

#include <gtest/gtest.h>

namespace mono::log {
namespace {

std::string user_of(std::string_view authorization) {
    std::string user;
    return basic_user(authorization, user) ? user : "(none)";
}

TEST(BasicUser, DecodesTheUser) {
    EXPECT_EQ(user_of("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), "Aladdin");
    EXPECT_EQ(user_of("bAsIc QWxhZGRpbjpvcGVuIHNlc2FtZQ=="), "Aladdin");
    EXPECT_EQ(user_of("Basic   YTpi"), "a");
    EXPECT_EQ(user_of("Basic w6k6eA=="), "\xc3\xa9");
    EXPECT_EQ(user_of("Basic Ong="), "");
}

TEST(BasicUser, LeavesTheRestAlone) {
    EXPECT_EQ(user_of(""), "(none)");
    EXPECT_EQ(user_of("Basic"), "(none)");
    EXPECT_EQ(user_of("Basic "), "(none)");
    EXPECT_EQ(user_of("Bearer YTpi"), "(none)");
    EXPECT_EQ(user_of("Basic !!!!"), "(none)");
    EXPECT_EQ(user_of("Basic dG9rZW4="), "(none)");  // "token": no colon, perhaps a secret
    EXPECT_EQ(user_of("Basic " + std::string(4096, 'Y')), "(none)");
}

}  // namespace
}  // namespace mono::log
