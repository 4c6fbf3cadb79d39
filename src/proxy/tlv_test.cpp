#include "proxy/tlv.hpp"

#include <gtest/gtest.h>

#include "proxy/support_test.hpp"

namespace mono::proxy {
namespace {

using http::Error;

// Of the header, which must be read.
std::unique_ptr<Extras> extras_of(const std::string& bytes) {
    Header header;
    const Parsed parsed = parse(bytes, Versions::kV2, header);
    EXPECT_EQ(parsed.status, Status::kDone) << describe(parsed.error).rule;
    return header.extras ? std::move(header.extras) : std::make_unique<Extras>();
}

TlvFault fault_of(const std::string& vectors) {
    std::unique_ptr<Extras> extras;
    return read_tlvs(v2_with(vectors), 28, extras);
}

void expect_fault(const std::string& vectors, Error error, size_t offset) {
    const TlvFault fault = fault_of(vectors);
    EXPECT_EQ(fault.error, error);
    EXPECT_EQ(fault.offset, 28 + offset);
}

TEST(Tlv, Texts) {
    const auto extras = extras_of(v2_with(tlv(0x01, "h2") + tlv(0x02, "example.org") +
                                          tlv(0x05, "id-1") + tlv(0x30, "blue")));
    EXPECT_EQ(extras->alpn, "h2");
    EXPECT_EQ(extras->authority, "example.org");
    EXPECT_EQ(extras->unique_id, "id-1");
    EXPECT_EQ(extras->netns, "blue");
    EXPECT_EQ(extras->tls, nullptr);
}

TEST(Tlv, TlsOfAClientWithACertificate) {
    const std::string parts = tlv(0x21, "TLSv1.3") + tlv(0x22, "client one") +
                              tlv(0x23, "TLS_AES_128_GCM_SHA256") + tlv(0x24, "RSA-PSS") +
                              tlv(0x25, "RSA2048") + tlv(0x26, "X25519") + tlv(0x28, "DER") +
                              tlv(0x2F, "of later versions");
    const auto extras =
        extras_of(v2_with(tlv(0x20, std::string("\x07\x00\x00\x00\x00", 5) + parts)));
    ASSERT_NE(extras->tls, nullptr);
    const Tls& tls = *extras->tls;
    EXPECT_TRUE(tls.connected && tls.certificate && tls.certificate_known && tls.verified());
    EXPECT_EQ(tls.version, "TLSv1.3");
    EXPECT_EQ(tls.common_name, "client one");
    EXPECT_EQ(tls.cipher, "TLS_AES_128_GCM_SHA256");
    EXPECT_EQ(tls.signature_algorithm, "RSA-PSS");
    EXPECT_EQ(tls.key_algorithm, "RSA2048");
    EXPECT_EQ(tls.group, "X25519");
    EXPECT_EQ(tls.certificate_der, "DER");
}

// No certificate: "verify" is 0 all the same, and means nothing.
TEST(Tlv, NobodyIsVerifiedWithoutACertificate) {
    auto extras = extras_of(v2_with(tlv(0x20, std::string("\x01\x00\x00\x00\x00", 5))));
    EXPECT_TRUE(extras->tls->connected);
    EXPECT_FALSE(extras->tls->verified());
    extras = extras_of(v2_with(tlv(0x20, std::string("\x03\x00\x00\x00\x12", 5))));
    EXPECT_EQ(extras->tls->verify, 18u);
    EXPECT_FALSE(extras->tls->verified());
    extras = extras_of(v2_with(tlv(0x20, std::string("\x04\x00\x00\x00\x00", 5))));
    EXPECT_TRUE(extras->tls->verified());
}

TEST(Tlv, Vendors) {
    auto extras = extras_of(v2_with(tlv(0xEA, "\x01vpce-08d2bf15fac5001c9") +
                                    tlv(0xEE, std::string("\x01\x78\x56\x34\x12", 5)) +
                                    tlv(0xE0, std::string("\0\0\0\0\0\0\x01\x02", 8))));
    EXPECT_EQ(extras->vpc_endpoint, "vpce-08d2bf15fac5001c9");
    ASSERT_TRUE(extras->has_private_link);
    EXPECT_EQ(extras->private_link, 0x12345678u);
    ASSERT_TRUE(extras->has_service_connection);
    EXPECT_EQ(extras->service_connection, 0x102u);
    // The same numbers, used by somebody else.
    extras = extras_of(v2_with(tlv(0xEA, "\x02vpce") + tlv(0xEE, "\x01\x02") + tlv(0xE0, "id")));
    EXPECT_EQ(extras->vpc_endpoint, "");
    EXPECT_FALSE(extras->has_private_link);
    EXPECT_FALSE(extras->has_service_connection);
    EXPECT_EQ(extras_of(v2_with(tlv(0xEA, "")))->vpc_endpoint, "");
}

TEST(Tlv, TheChecksumIsThatOfTheWholeHeader) {
    const std::string zeros(4, '\0');
    const std::string right = summed(v2_with(tlv(0x02, "example.org") + tlv(0x03, zeros)));
    EXPECT_EQ(extras_of(right)->authority, "example.org");
    const size_t type_at = right.size() - 7;  // without it, there is no checksum
    for (size_t at = 16; at < right.size(); ++at) {
        if (at == type_at) continue;
        std::string wrong = right;
        wrong[at] = static_cast<char>(wrong[at] ^ 0x40);
        Header header;
        EXPECT_EQ(parse(wrong, Versions::kV2, header).status, Status::kMalformed) << at;
    }
    expect_fault(tlv(0x03, zeros), Error::kProxyChecksum, 3);
    expect_fault(tlv(0x03, "abc"), Error::kProxyTlv, 3);
    expect_fault(tlv(0x03, "abcde"), Error::kProxyTlv, 3);
}

TEST(Tlv, PaddingAndUnknownTypesArePassedOver) {
    const auto extras = extras_of(v2_with(tlv(0x04, "") + tlv(0x04, "xx") + tlv(0x77, "what") +
                                          tlv(0x01, "http/1.1") + tlv(0x04, "")));
    EXPECT_EQ(extras->alpn, "http/1.1");
}

TEST(Tlv, Malformed) {
    expect_fault(std::string(1, '\x01'), Error::kProxyTlv, 0);
    expect_fault(std::string("\x01\x00", 2), Error::kProxyTlv, 0);
    expect_fault(std::string("\x01\x00\x01", 3), Error::kProxyTlv, 0);
    expect_fault(tlv(0x01, "h2") + std::string("\x02\xFF\xFF", 3), Error::kProxyTlv, 5);
    expect_fault(tlv(0x02, "a") + tlv(0x02, "b"), Error::kProxyTlv, 4);
    expect_fault(tlv(0x05, std::string(129, 'i')), Error::kProxyTlv, 3);
    EXPECT_EQ(fault_of(tlv(0x05, std::string(128, 'i'))).error, Error::kNone);
    expect_fault(tlv(0x20, "\x01\x01\x01\x01"), Error::kProxyTlv, 3);
    const std::string prefix("\x01\x00\x00\x00\x00", 5);
    expect_fault(tlv(0x20, prefix + "\x21"), Error::kProxyTlv, 8);
    expect_fault(tlv(0x20, prefix + std::string("\x21\x00\x02x", 4)), Error::kProxyTlv, 8);
    expect_fault(tlv(0x20, prefix + tlv(0x21, "a") + tlv(0x21, "b")), Error::kProxyTlv, 12);
    // A part of one vector does not reach into the next.
    expect_fault(tlv(0x20, prefix + std::string("\x21\x00\x04", 3)) + tlv(0x04, "x"),
                 Error::kProxyTlv, 8);
}

}  // namespace
}  // namespace mono::proxy
