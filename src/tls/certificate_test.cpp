#include "tls/certificate.hpp"

#include <gtest/gtest.h>
#include <openssl/ocsp.h>

#include "base/clock.hpp"
#include "tls/support_test.hpp"

namespace mono::tls {
namespace {

constexpr int64_t kDay = 86'400;

std::string fault_of(const CertificatePem& pem) {
    const base::Result<Certificate> read = read_certificate(pem);
    return read ? "" : read.sentence();
}

Certificate certificate_of(const CertificatePem& pem) {
    base::Result<Certificate> read = read_certificate(pem);
    EXPECT_TRUE(read.ok()) << (read.ok() ? "" : read.sentence());
    return std::move(read.value());
}

TEST(Certificate, TheKeyMayStandBesideIt) {
    const Issued issued = issue({.names = "DNS:A.example,IP:1.2.3.4,DNS:*.b.example"});
    CertificatePem pem = issued.both();
    const Certificate apart = certificate_of(pem);
    EXPECT_EQ(apart.names, (std::vector<std::string>{"a.example", "*.b.example"}));
    pem.chain = pem.key.text() + pem.chain;
    pem.key = "";
    EXPECT_EQ(certificate_of(pem).names, apart.names);
}

TEST(Certificate, FaultsAreSentences) {
    const Issued issued = issue({});
    CertificatePem pem = issued.both();
    pem.chain = "nothing";
    EXPECT_EQ(fault_of(pem), "test.pem holds no certificate in PEM");
    pem = issued.both("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    EXPECT_TRUE(fault_of(pem).starts_with("test.pem: a certificate of the chain cannot be read"));
    pem = issued.both();
    pem.key = "";
    EXPECT_EQ(fault_of(pem), "test.pem: there is no private key in PEM");
    pem.key = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    EXPECT_TRUE(fault_of(pem).starts_with("test.pem: the key: ")) << fault_of(pem);
    pem.key = issue({}).key_pem();
    EXPECT_EQ(fault_of(pem), "test.pem: the key does not belong to the certificate");
    pem.key = issue({.kind = KeyKind::kRsa}).key_pem();
    EXPECT_EQ(fault_of(pem), "test.pem: the key does not belong to the certificate");
}

TEST(Certificate, EncryptedKeysNeedTheirPassword) {
    const Issued issued = issue({});
    CertificatePem pem = issued.both();
    pem.key = issued.key_pem("secret");
    EXPECT_TRUE(is_encrypted(pem.key.text()));
    EXPECT_EQ(fault_of(pem), "test.pem: the key is encrypted, and there is no password");
    pem.password = "Secret";
    EXPECT_EQ(fault_of(pem), "test.pem: the key's password is wrong");
    pem.password = "secret";
    const Certificate certificate = certificate_of(pem);
    pem.key = key_in_the_clear(certificate);
    pem.password = "";
    EXPECT_FALSE(is_encrypted(pem.key.text()));
    EXPECT_EQ(fault_of(pem), "");
}

TEST(Certificate, TraditionalEncryptionIsKnown) {
    const Issued issued = issue({});
    CertificatePem pem = issued.both();
    pem.key = pem_of([&](BIO* bio) {
        PEM_write_bio_PrivateKey_traditional(bio, issued.key.get(), EVP_aes_128_cbc(), nullptr, 0,
                                             nullptr, const_cast<char*>("old"));
    });
    EXPECT_TRUE(is_encrypted(pem.key.text()));
    pem.password = "old";
    EXPECT_EQ(fault_of(pem), "");
}

TEST(Certificate, DatesAreDoubted) {
    const int64_t now = base::unix_us() / 1'000'000;
    const Certificate good = certificate_of(issue({.to_s = 10 * kDay - 60}).both());
    EXPECT_EQ(doubt(good, now), "");
    EXPECT_EQ(days_left(good, now), 9);
    EXPECT_EQ(days_left(good, good.not_after), 0);
    EXPECT_EQ(days_left(good, good.not_after + 1), -1);
    EXPECT_EQ(days_left(good, good.not_after + kDay + 1), -2);
    EXPECT_TRUE(doubt(good, good.not_after + 1).starts_with("the certificate has expired on 20"));
    const Certificate early = certificate_of(issue({.from_s = kDay}).both());
    EXPECT_TRUE(doubt(early, now).starts_with("the certificate is not valid before 20"));
}

TEST(Certificate, ChainsAreDoubted) {
    const int64_t now = base::unix_us() / 1'000'000;
    const Issued root = issue({.name = "root", .names = "", .is_authority = true});
    const Issued middle = issue({.name = "middle", .names = "", .is_authority = true}, &root);
    const Issued expired = issue(
        {.name = "middle", .names = "", .from_s = -2 * kDay, .to_s = -kDay, .is_authority = true},
        &root);
    const Issued leaf = issue({}, &middle);
    EXPECT_EQ(doubt(certificate_of(leaf.both(middle.pem() + root.pem())), now), "");
    EXPECT_EQ(doubt(certificate_of(leaf.both(root.pem() + middle.pem())), now),
              "the chain is out of order: a certificate is not issued by the one behind it");
    EXPECT_EQ(doubt(certificate_of(issue({}, &expired).both(expired.pem())), now),
              "a certificate of the chain has expired");
}

std::string ocsp_response(const Issued& issued, const Issued& by, int64_t until_s) {
    OCSP_BASICRESP* basic = OCSP_BASICRESP_new();
    OCSP_CERTID* id = OCSP_cert_to_id(EVP_sha1(), issued.certificate.get(), by.certificate.get());
    const std::unique_ptr<ASN1_TIME, Freer<ASN1_TIME_free>> now(X509_gmtime_adj(nullptr, -60));
    const std::unique_ptr<ASN1_TIME, Freer<ASN1_TIME_free>> then(X509_gmtime_adj(nullptr, until_s));
    OCSP_basic_add1_status(basic, id, V_OCSP_CERTSTATUS_GOOD, 0, nullptr, now.get(), then.get());
    OCSP_basic_sign(basic, by.certificate.get(), by.key.get(), EVP_sha256(), nullptr, 0);
    OCSP_RESPONSE* response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
    unsigned char* bytes = nullptr;
    const int size = i2d_OCSP_RESPONSE(response, &bytes);
    std::string der(reinterpret_cast<char*>(bytes), static_cast<size_t>(size));
    OPENSSL_free(bytes);
    OCSP_RESPONSE_free(response);
    OCSP_BASICRESP_free(basic);
    OCSP_CERTID_free(id);
    return der;
}

// What the client finds stapled.
std::string stapled(const CertificatePem& pem) {
    ContextOptions options;
    options.certificates = {pem};
    Session session(make_context(options));
    Client client;
    SSL_CTX_ctrl(client.ctx(), SSL_CTRL_SET_TLSEXT_STATUS_REQ_TYPE, TLSEXT_STATUSTYPE_ocsp,
                 nullptr);
    client.connect();
    (void)shake(session, client);
    EXPECT_TRUE(session.handshaken()) << session.error_text();
    const unsigned char* bytes = nullptr;
    const long size = SSL_ctrl(client.ssl(), SSL_CTRL_GET_TLSEXT_STATUS_REQ_OCSP_RESP, 0, &bytes);
    return size <= 0 ? "" : std::string(reinterpret_cast<const char*>(bytes), size);
}

TEST(Certificate, AnOcspResponseIsStapledWhileItIsFresh) {
    const Issued root = issue({.name = "root", .names = "", .is_authority = true});
    const Issued leaf = issue({}, &root);
    CertificatePem pem = leaf.both();
    EXPECT_EQ(stapled(pem), "");
    pem.ocsp = ocsp_response(leaf, root, 3600);
    EXPECT_EQ(stapled(pem), pem.ocsp);
    pem.ocsp = ocsp_response(leaf, root, -1);
    EXPECT_EQ(stapled(pem), "");
    pem.ocsp = "nothing";
    EXPECT_EQ(fault_of(pem), "test.pem: the OCSP response is not one in DER");
    pem.ocsp = "\x30\x03\x0a\x01\x03";  // try later
    EXPECT_EQ(fault_of(pem),
              "test.pem: the OCSP response says that the responder could not answer");
}

}  // namespace
}  // namespace mono::tls
