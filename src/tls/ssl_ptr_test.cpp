#include "tls/ssl_ptr.hpp"

#include <gtest/gtest.h>
#include <openssl/err.h>
#include <openssl/pem.h>

namespace mono::tls {
namespace {

TEST(Errors, AreSentencesOnce) {
    clear_errors();
    EXPECT_EQ(last_error(), "unknown error");
    const BioPtr bio = bio_over("no PEM");
    EXPECT_EQ(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), nullptr);
    EXPECT_EQ(last_error(), "no start line");
    clear_errors();
    EXPECT_EQ(last_error(), "unknown error");
    ERR_raise(ERR_LIB_SYS, ENOENT);
    EXPECT_EQ(last_error(), "No such file or directory");
    clear_errors();
}

}  // namespace
}  // namespace mono::tls
