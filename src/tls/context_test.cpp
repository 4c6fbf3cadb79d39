#include "tls/context.hpp"

#include <gtest/gtest.h>

#include <array>

#include "os/files.hpp"
#include "os/temp_file.hpp"
#include "tls/support_test.hpp"

namespace mono::tls {
namespace {

std::string fault_of(const ContextOptions& options) {
    const base::Result<std::shared_ptr<const Context>> made = Context::make(options);
    return made ? "" : made.sentence();
}

// Which certificate a client gets for a name.
const X509* served(const std::shared_ptr<const Context>& context, const char* name,
                   Client& client) {
    Session session(context);
    client.connect(name);
    (void)shake(session, client);
    EXPECT_TRUE(session.handshaken()) << session.error_text();
    return client.server_certificate();
}

void expect_served(const std::shared_ptr<const Context>& context, const char* name,
                   const Issued& wanted, const char* sigalgs = nullptr) {
    Client client;
    SSL_CTX_set_max_proto_version(client.ctx(), TLS1_2_VERSION);
    if (sigalgs != nullptr) SSL_CTX_set1_sigalgs_list(client.ctx(), sigalgs);
    EXPECT_EQ(X509_cmp(served(context, name, client), wanted.certificate.get()), 0)
        << (name == nullptr ? "no name" : name);
}

TEST(Context, EachNameGetsItsCertificate) {
    const Issued first = issue({.name = "first", .names = "DNS:first.example,DNS:*.wild.example"});
    const Issued second = issue({.name = "second", .names = "DNS:Second.Example"});
    const Issued special = issue({.name = "special", .names = "DNS:special.wild.example"});
    ContextOptions options;
    for (const Issued* issued : {&first, &second, &special})
        options.certificates.push_back(issued->both());
    const auto context = make_context(options);
    expect_served(context, "first.example", first);
    expect_served(context, "SECOND.example", second);
    expect_served(context, "a.wild.example", first);
    expect_served(context, "special.wild.example", special);
    expect_served(context, "a.b.wild.example", first);  // by no name, as what follows
    expect_served(context, "wild.example", first);
    expect_served(context, "elsewhere.example", first);
    expect_served(context, nullptr, first);
}

TEST(Context, RsaAndEcdsaStandSideBySide) {
    const Issued rsa = issue({.names = "DNS:both.example", .kind = KeyKind::kRsa});
    const Issued ecdsa = issue({.names = "DNS:both.example", .kind = KeyKind::kEcdsa});
    ContextOptions options;
    options.certificates = {rsa.both(), ecdsa.both()};
    const auto context = make_context(options);
    for (const char* name : {"both.example", "other.example"}) {
        expect_served(context, name, ecdsa, "ECDSA+SHA256");
        expect_served(context, name, rsa, "RSA+SHA256:RSA-PSS+SHA256");
    }
}

TEST(Context, ACertificateWithoutNamesHasItsCommonName) {
    const Issued first = issue({.name = "a.example", .names = ""});
    const Issued second = issue({.name = "b.example", .names = ""});
    ContextOptions options;
    options.certificates = {first.both(), second.both()};
    expect_served(make_context(options), "b.example", second);
}

TEST(Context, TheChainIsSent) {
    const Issued root = issue({.name = "root", .names = "", .is_authority = true});
    const Issued middle = issue({.name = "middle", .names = "", .is_authority = true}, &root);
    const Issued leaf = issue({}, &middle);
    ContextOptions options;
    options.certificates = {leaf.both(middle.pem())};
    Client client;
    SSL_CTX_set_verify(client.ctx(), SSL_VERIFY_PEER, nullptr);
    X509_STORE_add_cert(SSL_CTX_get_cert_store(client.ctx()), root.certificate.get());
    (void)served(make_context(options), "localhost", client);
    EXPECT_EQ(SSL_get_verify_result(client.ssl()), X509_V_OK);
    EXPECT_EQ(sk_X509_num(SSL_get_peer_cert_chain(client.ssl())), 2);
}

TEST(Context, WhatCannotBeServedIsASentence) {
    const Issued issued = issue({});
    ContextOptions options;
    EXPECT_EQ(fault_of(options), "there is no certificate");
    options = options_with(issued);
    options.ciphers = "NONSENSE";
    EXPECT_EQ(fault_of(options), "ciphers: OpenSSL knows none of \"NONSENSE\"");
    options = options_with(issued);
    options.ciphersuites = "NONSENSE";
    EXPECT_EQ(fault_of(options), "ciphersuites: OpenSSL does not know \"NONSENSE\"");
    options = options_with(issued);
    options.ca_pem = "nothing";
    EXPECT_EQ(fault_of(options), "ca_certs holds nothing that can be used");
    options = options_with(issued);
    options.crl_pem = "nothing";
    EXPECT_EQ(fault_of(options), "the revocation list holds nothing that can be used");
    options = options_with(issued);
    options.alpn = {""};
    EXPECT_EQ(fault_of(options), "an ALPN name has 1 to 255 bytes");
    options = options_with(issued);
    options.certificates[0].key = issue({}).key_pem();
    EXPECT_EQ(fault_of(options), "test.pem: the key does not belong to the certificate");
}

TEST(Context, CiphersOfTheConfigurationAreTheOnlyOnes) {
    ContextOptions options = options_with(issue({}));
    options.ciphers = "ECDHE+CHACHA20";
    options.version_max = Version::kTls12;
    Session session(make_context(options));
    Client client;
    client.connect();
    (void)shake(session, client);
    EXPECT_EQ(session.cipher(), "ECDHE-ECDSA-CHACHA20-POLY1305");
}

TEST(Context, OnlyTls13WhereThatIsTheLeast) {
    ContextOptions options = options_with(issue({}));
    options.version_min = Version::kTls13;
    Session session(make_context(options));
    Client client;
    SSL_CTX_set_max_proto_version(client.ctx(), TLS1_2_VERSION);
    client.connect();
    (void)shake(session, client);
    EXPECT_EQ(session.fault(), Fault::kVersion);
}

// Client certificates.

class Mutual : public testing::Test {
  protected:
    Mutual() {
        options_ = options_with(server_);
        options_.client_certificates = ClientCertificates::kRequired;
        options_.ca_pem = root_.pem();
        options_.crl_pem = "";
    }
    std::unique_ptr<Session> meet(Client& client) {
        auto session = std::make_unique<Session>(make_context(options_));
        client.connect();
        (void)shake(*session, client);
        return session;
    }
    // A list on which `serial` stands.
    std::string revoked(long serial) const {
        const std::unique_ptr<X509_CRL, Freer<X509_CRL_free>> crl(X509_CRL_new());
        X509_CRL_set_issuer_name(crl.get(), X509_get_subject_name(root_.certificate.get()));
        const std::unique_ptr<ASN1_TIME, Freer<ASN1_TIME_free>> now(X509_gmtime_adj(nullptr, -60));
        X509_CRL_set1_lastUpdate(crl.get(), now.get());
        X509_gmtime_adj(now.get(), 3600);
        X509_CRL_set1_nextUpdate(crl.get(), now.get());
        X509_REVOKED* entry = X509_REVOKED_new();
        const std::unique_ptr<ASN1_INTEGER, Freer<ASN1_INTEGER_free>> number(ASN1_INTEGER_new());
        ASN1_INTEGER_set(number.get(), serial);
        X509_REVOKED_set_serialNumber(entry, number.get());
        X509_REVOKED_set_revocationDate(entry, now.get());
        X509_CRL_add0_revoked(crl.get(), entry);
        X509_CRL_sign(crl.get(), root_.key.get(), EVP_sha256());
        return pem_of([&](BIO* bio) { PEM_write_bio_X509_CRL(bio, crl.get()); });
    }

    Issued server_ = issue({});
    Issued root_ = issue({.name = "root", .names = "", .is_authority = true});
    Issued known_ = issue(
        {.name = "known", .names = "DNS:a.b,IP:1.2.3.4,email:a@b.c", .serial = 0xABC}, &root_);
    Issued stranger_ = issue({.name = "stranger"});
    ContextOptions options_;
};

TEST_F(Mutual, AKnownClientIsDescribed) {
    Client client;
    client.use(known_);
    const auto session = meet(client);
    ASSERT_TRUE(session->handshaken()) << session->error_text();
    const PeerIdentity* peer = session->peer();
    ASSERT_NE(peer, nullptr);
    EXPECT_EQ(peer->verify, "SUCCESS");
    EXPECT_EQ(peer->subject, "CN=known,O=Test\\, Inc.");
    EXPECT_EQ(peer->issuer, "CN=root,O=Test\\, Inc.");
    EXPECT_EQ(peer->serial, "0ABC");
    EXPECT_EQ(peer->names,
              (std::vector<std::string>{"DNS:a.b", "IP Address:1.2.3.4", "email:a@b.c"}));
    EXPECT_EQ(session->peer_pem(), known_.pem());
}

TEST_F(Mutual, ARequiredCertificateThatIsAbsentIsNamed) {
    Client client;
    const auto session = meet(client);
    EXPECT_EQ(session->fault(), Fault::kNoClientCertificate);
    EXPECT_EQ(session->peer(), nullptr);
}

TEST_F(Mutual, AStrangerIsRefusedWithTheReason) {
    for (const ClientCertificates wanted :
         {ClientCertificates::kRequired, ClientCertificates::kOptional}) {
        options_.client_certificates = wanted;
        Client client;
        client.use(stranger_);
        const auto session = meet(client);
        EXPECT_EQ(session->fault(), Fault::kClientCertificate);
        EXPECT_NE(session->error_text().find("self-signed"), std::string::npos)
            << session->error_text();
    }
}

TEST_F(Mutual, AnOptionalCertificateMayBeAbsent) {
    options_.client_certificates = ClientCertificates::kOptional;
    Client client;
    const auto session = meet(client);
    ASSERT_NE(session->peer(), nullptr);
    EXPECT_EQ(session->peer()->verify, "NONE");
    EXPECT_EQ(session->peer_pem(), "");
}

TEST_F(Mutual, ARevokedCertificateIsRefused) {
    options_.crl_pem = revoked(0xABC);
    Client client;
    client.use(known_);
    const auto session = meet(client);
    EXPECT_EQ(session->fault(), Fault::kClientCertificate);
    EXPECT_NE(session->error_text().find("revoked"), std::string::npos) << session->error_text();
    options_.crl_pem = revoked(7);
    EXPECT_TRUE(meet(client)->handshaken());
}

// Tickets.

TEST_F(Mutual, ATicketCarriesTheIdentityButNotPastNewRules) {
    ASSERT_TRUE(rotate(options_.tickets));
    Client client;
    client.use(known_);
    EXPECT_FALSE(meet(client)->resumed());
    const auto second = meet(client);
    EXPECT_TRUE(second->resumed());
    ASSERT_NE(second->peer(), nullptr);
    EXPECT_EQ(second->peer()->verify, "SUCCESS");
    EXPECT_EQ(second->peer()->subject, "CN=known,O=Test\\, Inc.");
    options_.crl_pem = revoked(0xABC);
    EXPECT_EQ(meet(client)->fault(), Fault::kClientCertificate);
}

class Tickets : public testing::TestWithParam<int> {
  protected:
    bool resumes(Client& client) {
        Session session(make_context(options_));
        client.connect();
        (void)shake(session, client);
        EXPECT_TRUE(session.handshaken()) << session.error_text();
        return session.resumed();
    }
    Client client_;
    ContextOptions options_ = options_with(issue({}));
};

// Each session here has a context of its own, as in another worker.
TEST_P(Tickets, AreTakenByWhoeverKnowsTheKeys) {
    SSL_CTX_set_max_proto_version(client_.ctx(), GetParam());
    ASSERT_TRUE(rotate(options_.tickets));
    EXPECT_FALSE(resumes(client_));
    EXPECT_TRUE(resumes(client_));
    options_.certificates[0] = issue({.names = "DNS:localhost"}).both();  // a swap
    EXPECT_TRUE(resumes(client_));
    ASSERT_TRUE(rotate(options_.tickets));
    EXPECT_TRUE(resumes(client_));  // by the former key; the answer has a ticket of the new one
    ASSERT_TRUE(rotate(options_.tickets));
    EXPECT_TRUE(resumes(client_));
    ASSERT_TRUE(rotate(options_.tickets) && rotate(options_.tickets));
    EXPECT_FALSE(resumes(client_));
    options_.tickets = {};
    ASSERT_TRUE(rotate(options_.tickets));
    EXPECT_FALSE(resumes(client_));
}

INSTANTIATE_TEST_SUITE_P(Versions, Tickets, testing::Values(TLS1_2_VERSION, TLS1_3_VERSION));

TEST(Context, SecretsGoToTheKeyLog) {
    os::TempFile file = os::TempFile::open("");
    ContextOptions options = options_with(issue({}));
    options.key_log = std::make_shared<const os::Fd>(os::duplicate(file.fd()));
    Session session(make_context(options));
    Client client;
    client.connect();
    (void)shake(session, client);
    std::array<char, 4096> text;
    const ssize_t size = file.read_at(0, text);
    ASSERT_GT(size, 0);
    const std::string_view log(text.data(), static_cast<size_t>(size));
    EXPECT_NE(log.find("CLIENT_TRAFFIC_SECRET_0 "), std::string_view::npos);
    EXPECT_TRUE(log.ends_with('\n'));
}

}  // namespace
}  // namespace mono::tls
