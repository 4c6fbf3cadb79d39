// That sessions resume by these keys: tls/context_test.cpp. Here is what a ticket cannot show.
#include "tls/tickets.hpp"

#include <gtest/gtest.h>
#include <openssl/evp.h>

namespace mono::tls {
namespace {

TEST(TicketKeys, TheNewestIsFirstAndTheOldestGoes) {
    TicketKeys keys;
    std::array<TicketKey, 5> made;
    for (TicketKey& key : made) {
        ASSERT_TRUE(rotate(keys));
        key = keys.keys[0];
    }
    EXPECT_EQ(keys.count, TicketKeys::kMax);
    for (size_t i = 0; i < TicketKeys::kMax; ++i) {
        EXPECT_EQ(keys.keys[i].name, made[4 - i].name);
        EXPECT_EQ(keys.keys[i].cipher, made[4 - i].cipher);
        EXPECT_EQ(keys.keys[i].mac, made[4 - i].mac);
    }
    EXPECT_NE(made[0].cipher, made[1].cipher);
    EXPECT_NE(made[0].cipher, made[0].mac);
}

TEST(TicketKeys, OnlyKnownNamesAreOpened) {
    const std::unique_ptr<EVP_CIPHER_CTX, Freer<EVP_CIPHER_CTX_free>> cipher(EVP_CIPHER_CTX_new());
    const std::unique_ptr<EVP_MAC, Freer<EVP_MAC_free>> hmac(
        EVP_MAC_fetch(nullptr, "HMAC", nullptr));
    const std::unique_ptr<EVP_MAC_CTX, Freer<EVP_MAC_CTX_free>> mac(EVP_MAC_CTX_new(hmac.get()));
    std::array<unsigned char, 16> name{};
    std::array<unsigned char, EVP_MAX_IV_LENGTH> iv{};
    TicketKeys keys;
    const auto use = [&](bool makes) {
        return use_ticket_key(keys, name.data(), iv.data(), cipher.get(), mac.get(), makes);
    };
    EXPECT_EQ(use(true), -1);
    EXPECT_EQ(use(false), 0);
    ASSERT_TRUE(rotate(keys));
    EXPECT_EQ(use(true), 1);
    EXPECT_EQ(name, keys.keys[0].name);
    EXPECT_EQ(use(false), 1);
    ASSERT_TRUE(rotate(keys));
    EXPECT_EQ(use(false), 2);
    name[15] ^= 1;
    EXPECT_EQ(use(false), 0);
}

}  // namespace
}  // namespace mono::tls
