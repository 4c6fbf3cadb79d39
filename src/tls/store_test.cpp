#include "tls/store.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "base/clock.hpp"
#include "tls/support_test.hpp"

namespace mono::tls {
namespace {

constexpr int64_t kDay = 86'400;

int64_t now_s() { return base::unix_us() / 1'000'000; }

// What a client gets from a view; resumes where it can.
std::unique_ptr<Session> meet(View& view, Client& client) {
    auto session = std::make_unique<Session>(view.current());
    client.connect();
    (void)shake(*session, client);
    EXPECT_TRUE(session->handshaken()) << session->error_text();
    return session;
}

bool serves(View& view, const Issued& issued) {
    Client client;
    (void)meet(view, client);
    return X509_cmp(client.server_certificate(), issued.certificate.get()) == 0;
}

class StoreTest : public testing::Test {
  protected:
    Published published(const base::Result<Published>& result) {
        EXPECT_TRUE(result.ok()) << (result.ok() ? "" : result.sentence());
        return result.ok() ? result.value() : Published();
    }
    Published open(const Issued& issued) {
        return published(store_.open(options_with(issued), now_s()));
    }
    Store store_;
};

TEST_F(StoreTest, AnImageIsTheSetAgain) {
    ContextOptions options = options_with(issue({}));
    options.certificates.push_back({"b", "chain", "key", "", "ocsp"});
    options.alpn = {"h2", "http/1.1"};
    options.version_min = Version::kTls13;
    options.ciphers = "one";
    options.ciphersuites = "two";
    options.client_certificates = ClientCertificates::kOptional;
    options.ca_pem = "three";
    options.crl_pem = "four";
    options.ticket_lifetime_s = 77;
    ASSERT_TRUE(rotate(options.tickets));
    const std::string image = to_image(options);
    ContextOptions again;
    ASSERT_TRUE(from_image(image, again));
    EXPECT_EQ(to_image(again), image);
    EXPECT_EQ(again.crl_pem, "four");
    EXPECT_EQ(again.certificates[1].key.text(), "key");
    for (size_t size = 0; size < image.size(); size += 1 + size / 8) {
        ContextOptions cut;
        EXPECT_FALSE(from_image(std::string_view(image).substr(0, size), cut)) << size;
    }
}

TEST_F(StoreTest, EveryViewServesWhatIsPublished) {
    View early(store_);
    EXPECT_EQ(early.current(), nullptr);
    const Issued first = issue({});
    EXPECT_TRUE(open(first).changed);
    View late(store_);
    EXPECT_TRUE(serves(early, first));
    EXPECT_TRUE(serves(late, first));
    const auto kept = late.current();
    EXPECT_EQ(kept, late.current());  // no new one without news
    const Issued second = issue({});
    EXPECT_TRUE(published(store_.update(options_with(second), now_s())).changed);
    EXPECT_TRUE(serves(early, second));
    EXPECT_TRUE(serves(late, second));
    EXPECT_FALSE(published(store_.update(options_with(second), now_s())).changed);
}

TEST_F(StoreTest, ASessionThatBeganGoesOnThroughASwap) {
    ASSERT_TRUE(open(issue({})).changed);
    View view(store_);
    Session session(view.current());
    Client client;
    client.connect();
    (void)feed(session, client.taken());
    (void)published(store_.update(options_with(issue({})), now_s()));
    ASSERT_NE(view.current(), nullptr);
    client.receive(take_out(session));
    (void)shake(session, client);
    EXPECT_TRUE(session.handshaken());
}

TEST_F(StoreTest, ABadPairIsRefusedAndTheOldOneGoesOn) {
    const Issued first = issue({});
    ASSERT_TRUE(open(first).changed);
    View view(store_);
    ContextOptions mixed = options_with(issue({}));
    mixed.certificates[0].key = first.key_pem();  // one file is new, the other not yet
    const Issued expired = issue({.from_s = -2 * kDay, .to_s = -kDay});
    const Issued early = issue({.from_s = kDay});
    ContextOptions broken = options_with(first);
    broken.certificates[0].chain = "half a fi";
    for (const auto& [options, words] :
         {std::pair{mixed, "the key does not belong"}, std::pair{options_with(expired), "expired"},
          std::pair{options_with(early), "not valid before"},
          std::pair{broken, "no certificate in PEM"}}) {
        const Published result = published(store_.update(options, now_s()));
        EXPECT_FALSE(result.changed);
        ASSERT_EQ(result.refused.size(), 1U);
        EXPECT_NE(result.refused[0].find(words), std::string::npos) << result.refused[0];
        EXPECT_TRUE(serves(view, first));
    }
    ContextOptions wrong = options_with(first);
    wrong.ca_pem = "nothing";
    EXPECT_FALSE(store_.update(wrong, now_s()).ok());
    EXPECT_TRUE(serves(view, first));
}

TEST_F(StoreTest, OneBadPairHoldsOnlyItselfUp) {
    ContextOptions options = options_with(issue({}));
    options.certificates.push_back(
        issue({.names = "DNS:old.example", .from_s = -9, .to_s = -5}).both());
    options.certificates[1].name = "old.pem";
    const Published opened = published(store_.open(options, now_s()));
    ASSERT_EQ(opened.warnings.size(), 1U);
    EXPECT_TRUE(opened.warnings[0].starts_with("old.pem: the certificate has expired"));
    EXPECT_EQ(opened.first_name, "old.pem");
    EXPECT_EQ(opened.first_days, -1);
    const Issued renewed = issue({});
    options.certificates[0] = renewed.both();
    const Published updated = published(store_.update(options, now_s()));
    EXPECT_TRUE(updated.changed);
    EXPECT_TRUE(updated.refused.empty());
    View view(store_);
    EXPECT_TRUE(serves(view, renewed));
}

TEST_F(StoreTest, WhatCannotBeServedDoesNotOpen) {
    ContextOptions options = options_with(issue({}));
    options.certificates[0].key = issue({}).key_pem();
    const base::Result<Published> result = store_.open(options, now_s());
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.sentence(), "test.pem: the key does not belong to the certificate");
    Store small(4096);
    options = options_with(issue({}));
    options.ca_pem = options.certificates[0].chain + std::string(8192, '\n');
    EXPECT_FALSE(small.open(options, now_s()).ok());
    EXPECT_EQ(View(small).current(), nullptr);
}

TEST_F(StoreTest, AKeyBesideTheCertificateIsNotKeptTwice) {
    const Issued issued = issue({});
    ContextOptions options = options_with(issued);
    options.certificates[0].chain += options.certificates[0].key.text();
    options.certificates[0].key = "";
    (void)published(store_.open(options, now_s()));
    EXPECT_FALSE(published(store_.update(options, now_s())).changed);
    EXPECT_TRUE(published(store_.update(options_with(issue({})), now_s())).changed);
}

TEST_F(StoreTest, WorkersAreNotToldThePassword) {
    const Issued issued = issue({});
    ContextOptions options = options_with(issued);
    options.certificates[0].key = issued.key_pem("secret-word");
    options.certificates[0].password = "secret-word";
    ASSERT_TRUE(published(store_.open(options, now_s())).changed);
    const std::string_view mapped(static_cast<const char*>(store_.memory()->data()), 64 * 1024);
    EXPECT_EQ(mapped.find("secret-word"), std::string_view::npos);
    View view(store_);
    EXPECT_TRUE(serves(view, issued));
}

TEST_F(StoreTest, TicketsHoldAcrossViewsSwapsAndOneRotation) {
    ASSERT_TRUE(open(issue({})).changed);
    View one(store_);
    View other(store_);
    Client client;
    EXPECT_FALSE(meet(one, client)->resumed());
    EXPECT_TRUE(meet(other, client)->resumed());
    (void)published(store_.update(options_with(issue({})), now_s()));
    EXPECT_TRUE(meet(one, client)->resumed());
    ASSERT_TRUE(store_.rotate_tickets());
    EXPECT_TRUE(meet(other, client)->resumed());
    ASSERT_TRUE(store_.rotate_tickets() && store_.rotate_tickets());
    EXPECT_FALSE(meet(one, client)->resumed());
    // A reload makes another store, which takes the keys over.
    ContextOptions options = options_with(issue({}));
    options.tickets = store_.tickets();
    Store next;
    ASSERT_TRUE(published(next.open(options, now_s())).changed);
    View view(next);
    EXPECT_TRUE(meet(view, client)->resumed());
}

TEST_F(StoreTest, ReadersNeverSeeHalfOfASet) {
    const Issued first = issue({});
    const Issued second = issue({});
    ASSERT_TRUE(open(first).changed);
    std::atomic<bool> done = false;
    std::thread reader([&] {
        View view(store_);
        uint64_t contexts = 0;
        const Context* last = nullptr;
        while (!done.load() || contexts < 2) {
            const auto& now = view.current();
            if (now == nullptr) break;
            if (now.get() != last) ++contexts;
            last = now.get();
        }
        EXPECT_GE(contexts, 2U);
    });
    for (int i = 0; i < 40; ++i)
        EXPECT_TRUE(
            published(store_.update(options_with(i % 2 == 0 ? second : first), now_s())).changed);
    done = true;
    reader.join();
}

}  // namespace
}  // namespace mono::tls
