// What verified clients look like: tls/context_test.cpp.
#include "tls/peer.hpp"

#include <gtest/gtest.h>

#include "tls/support_test.hpp"

namespace mono::tls {
namespace {

TEST(Peer, WhoShowsNothingIsNobody) {
    const PeerIdentity peer = identify(nullptr, X509_V_OK);
    EXPECT_EQ(peer.verify, "NONE");
    EXPECT_EQ(peer.subject, "");
    EXPECT_TRUE(peer.names.empty());
}

TEST(Peer, AFailureHasItsReason) {
    const Issued issued = issue({.name = "x\ny"});
    const PeerIdentity peer = identify(issued.certificate.get(), X509_V_ERR_CERT_HAS_EXPIRED);
    EXPECT_EQ(peer.verify, "FAILED:certificate has expired");
    EXPECT_EQ(peer.subject, "CN=x\\0Ay,O=Test\\, Inc.");  // no line end gets into a log or header
}

TEST(Peer, NamesWithControlCharactersAreLeftOut) {
    const Issued issued = issue({.names = "DNS:good.example"});
    GENERAL_NAMES* names = GENERAL_NAMES_new();
    for (const std::string_view text : {std::string_view("a.b\0.c", 6), std::string_view("d.e")}) {
        GENERAL_NAME* name = GENERAL_NAME_new();
        ASN1_IA5STRING* string = ASN1_IA5STRING_new();
        ASN1_STRING_set(string, text.data(), static_cast<int>(text.size()));
        GENERAL_NAME_set0_value(name, GEN_DNS, string);
        sk_GENERAL_NAME_push(names, name);
    }
    X509* certificate = issued.certificate.get();
    X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, X509V3_ADD_REPLACE);
    GENERAL_NAMES_free(names);
    const PeerIdentity peer = identify(certificate, X509_V_OK);
    ASSERT_FALSE(peer.names.empty());
    EXPECT_EQ(peer.names.back(), "DNS:d.e");
    for (const std::string& name : peer.names) EXPECT_EQ(name.find('\0'), std::string::npos);
}

}  // namespace
}  // namespace mono::tls
