#include "tls/session.hpp"

#include <gtest/gtest.h>

#include "tls/support_test.hpp"

namespace mono::tls {
namespace {

using Status = Session::Status;

class SessionTest : public testing::Test {
  protected:
    static const Issued& issued() {
        static const Issued kIssued = issue({});
        return kIssued;
    }
    static const std::shared_ptr<const Context>& context() {
        static const std::shared_ptr<const Context> kContext = make_context(options_with(issued()));
        return kContext;
    }
    void connect() {
        client_.offer_alpn("\x08http/1.1");
        client_.connect();
        EXPECT_EQ(shake(session_, client_).status, Status::kWantInput);
        ASSERT_TRUE(session_.handshaken());
    }
    void expect_fault(Fault fault, std::string_view words) {
        EXPECT_EQ(session_.fault(), fault);
        EXPECT_NE(session_.error_text().find(words), std::string::npos) << session_.error_text();
        EXPECT_FALSE(session_.handshaken());
    }

    Session session_{context()};
    Client client_;
};

TEST_F(SessionTest, ShakesHandsAndCarriesBytesBothWays) {
    connect();
    EXPECT_EQ(session_.alpn(), "http/1.1");
    EXPECT_EQ(session_.version(), "TLSv1.3");
    EXPECT_EQ(session_.version_number(), 0x0304);
    EXPECT_EQ(session_.cipher(), "TLS_AES_256_GCM_SHA384");
    EXPECT_EQ(session_.cipher_number(), 0x1302);
    EXPECT_EQ(session_.server_name(), "localhost");
    EXPECT_EQ(session_.peer(), nullptr);
    client_.send("GET / HTTP/1.1\r\n\r\n");
    EXPECT_EQ(shake(session_, client_).text, "GET / HTTP/1.1\r\n\r\n");
    const std::string body(300'000, 'x');
    EXPECT_EQ(write_all(session_, client_, body), 5U);  // 64 KiB a call
    EXPECT_EQ(client_.received(), body);
}

TEST_F(SessionTest, Tls12Works) {
    SSL_CTX_set_max_proto_version(client_.ctx(), TLS1_2_VERSION);
    connect();
    EXPECT_EQ(session_.version(), "TLSv1.2");
    EXPECT_EQ(session_.cipher(), "ECDHE-ECDSA-AES256-GCM-SHA384");
    client_.send("hello");
    EXPECT_EQ(shake(session_, client_).text, "hello");
}

// Whatever the first byte behind which the network pauses, in either version.
TEST(SessionSplit, EverySplitOfAHandshakeAndARequestGivesTheSame) {
    const Issued issued = issue({});
    const auto context = make_context(options_with(issued));
    for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
        size_t longest = 1;
        for (size_t split = 1; split <= longest; ++split) {
            Client client;
            SSL_CTX_set_max_proto_version(client.ctx(), version);
            Session session(context);
            client.connect();
            while (!session.handshaken()) {
                const std::string wire = client.taken();
                ASSERT_FALSE(wire.empty());
                longest = std::max(longest, wire.size());
                (void)feed(session, std::string_view(wire).substr(0, split));
                if (split < wire.size()) (void)feed(session, std::string_view(wire).substr(split));
                ASSERT_EQ(session.fault(), Fault::kNone) << session.error_text();
                client.receive(take_out(session));
            }
            client.send("GET /");
            EXPECT_EQ(shake(session, client, split).text, "GET /");
        }
    }
}

TEST_F(SessionTest, OneByteAtATime) {
    client_.connect();
    EXPECT_EQ(shake(session_, client_, 1).status, Status::kWantInput);
    ASSERT_TRUE(session_.handshaken());
    client_.send(std::string(40'000, 'a'));
    EXPECT_EQ(shake(session_, client_, 1).text, std::string(40'000, 'a'));
}

TEST_F(SessionTest, WhatDoesNotFitIsLeftOfTheWireOrKept) {
    connect();
    client_.send(std::string(50'000, 'a'));
    const std::string wire = client_.taken();
    std::string_view rest = wire;
    char into[10'000];
    Session::Moved moved = session_.read(rest, into);
    EXPECT_EQ(moved.status, Status::kDone);
    EXPECT_EQ(moved.bytes, sizeof into);
    EXPECT_LT(rest.size(), wire.size());
    EXPECT_FALSE(rest.empty());
    session_.keep(rest);
    size_t total = moved.bytes;
    while (session_.has_pending()) {
        std::string_view nothing;
        moved = session_.read(nothing, into);
        if (moved.status != Status::kDone) break;
        total += moved.bytes;
    }
    EXPECT_EQ(total, 50'000U);
    EXPECT_FALSE(session_.has_pending());
}

TEST_F(SessionTest, NewBytesStandBehindWhatWasKept) {
    connect();
    client_.send("one ");
    session_.keep(client_.taken());
    client_.send("two");
    EXPECT_EQ(feed(session_, client_.taken()).text, "one two");
}

TEST_F(SessionTest, SmallPiecesMakeOneRecord) {
    connect();
    (void)take_out(session_);
    char head[] = "HTTP/1.1 200 OK\r\n\r\n";
    char body[] = "hello";
    const iovec parts[] = {{head, sizeof head - 1}, {nullptr, 0}, {body, sizeof body - 1}};
    const Session::Moved moved = session_.write(parts, 3);
    EXPECT_EQ(moved.bytes, sizeof head + sizeof body - 2);
    EXPECT_EQ(session_.out().size(), 5 + moved.bytes + 1 + 16);  // header, type, tag
    client_.receive(take_out(session_));
    EXPECT_EQ(client_.received(), "HTTP/1.1 200 OK\r\n\r\nhello");
}

TEST_F(SessionTest, LargePiecesKeepTheirOrder) {
    connect();
    std::string text;
    for (int i = 0; i < 12'000; ++i) text += std::to_string(i);
    std::vector<iovec> parts;
    for (size_t at = 0, size = 1; at < text.size(); at += size, size = size * 3 + 1)
        parts.push_back({text.data() + at, std::min(size, text.size() - at)});
    const Session::Moved moved = session_.write(parts.data(), static_cast<int>(parts.size()));
    EXPECT_EQ(moved.bytes, text.size());
    client_.receive(take_out(session_));
    EXPECT_EQ(client_.received(), text);
}

TEST_F(SessionTest, NothingIsWrittenBeforeTheHandshake) {
    char text[] = "x";
    const iovec part{text, 1};
    EXPECT_EQ(session_.write(&part, 1).status, Status::kWantInput);
    session_.close();
    EXPECT_TRUE(session_.out().empty());
}

TEST_F(SessionTest, OutputIsBounded) {
    connect();
    std::string text(1 << 20, 'x');
    size_t written = 0;
    for (;;) {
        const iovec part{text.data(), text.size()};
        const Session::Moved moved = session_.write(&part, 1);
        written += moved.bytes;
        if (moved.status != Status::kDone) {
            EXPECT_EQ(moved.status, Status::kWantOutput);
            break;
        }
    }
    EXPECT_GE(written, size_t{256} * 1024);
    EXPECT_LE(session_.out().size(), size_t{330} * 1024);
    client_.send("waits");
    const std::string wire = client_.taken();
    EXPECT_EQ(feed(session_, wire).status, Status::kWantOutput);
}

// Each KeyUpdate asks for one in return (RFC 8446 section 4.6.3).
TEST_F(SessionTest, WhoAsksForAnswersAndReadsNoneHoldsLittle) {
    connect();
    std::string wire;
    for (int i = 0; i < 30; ++i) {
        SSL_key_update(client_.ssl(), SSL_KEY_UPDATE_REQUESTED);
        client_.send("x");
        wire += client_.taken();
    }
    const Read read = feed(session_, wire);
    EXPECT_EQ(read.text, std::string(30, 'x'));
    EXPECT_LE(session_.out().size(), size_t{30} * 100);
}

TEST_F(SessionTest, CloseNotifyIsSeenAndAnswered) {
    connect();
    client_.send("bye");
    SSL_shutdown(client_.ssl());
    const std::string wire = client_.taken();
    std::string_view rest = wire;
    char into[100];
    EXPECT_EQ(session_.read(rest, into).bytes, 3U);
    EXPECT_EQ(session_.read(rest, into).status, Status::kClosed);
    EXPECT_EQ(session_.fault(), Fault::kNone);
    EXPECT_EQ(write_all(session_, client_, "answer"), 1U);  // half closed
    session_.close();
    session_.close();
    client_.receive(take_out(session_));
    EXPECT_TRUE(client_.closed());
    EXPECT_EQ(client_.received(), "answer");
}

TEST_F(SessionTest, PlainHttpIsNamed) {
    EXPECT_EQ(feed(session_, "GET / HTTP/1.1\r\nHost: a\r\n\r\n").status, Status::kFailed);
    expect_fault(Fault::kPlainHttp, "plain HTTP");
    EXPECT_TRUE(session_.out().empty());
    EXPECT_EQ(feed(session_, "more").status, Status::kFailed);
}

TEST_F(SessionTest, PostIsNotTakenForPROXY) {
    EXPECT_EQ(feed(session_, "P").status, Status::kWantInput);
    EXPECT_EQ(feed(session_, "OST /").status, Status::kFailed);
    expect_fault(Fault::kPlainHttp, "plain HTTP");
}

TEST_F(SessionTest, AProxyHeaderIsNamed) {
    EXPECT_EQ(feed(session_, "PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", 1).status, Status::kFailed);
    expect_fault(Fault::kProxyHeader, "PROXY");
    Session second(context());
    EXPECT_EQ(feed(second, std::string_view("\r\n\r\n\0\r\nQUIT\n!", 13), 1).status,
              Status::kFailed);
    EXPECT_EQ(second.fault(), Fault::kProxyHeader);
}

TEST_F(SessionTest, OtherBytesAreNotTls) {
    for (const std::string_view bytes : {"\x01\x02\x03", "\x16\x05\x01\x00\x05\x01\x00\x00\x01",
                                         "\x16\x03\x01\x00\x05\x02", "\x80\x2e\x01", "\n"}) {
        Session session(context());
        const std::string wire = std::string(bytes) + std::string(9, '\0');
        EXPECT_EQ(feed(session, wire).status, Status::kFailed);
        EXPECT_EQ(session.fault(), Fault::kNotTls);
    }
}

TEST_F(SessionTest, AHugeHelloIsRefusedByItsLength) {
    const std::string_view bytes("\x16\x03\x01\x40\x00\x01\x01\x00\x00", 9);
    EXPECT_EQ(feed(session_, bytes, 1).status, Status::kFailed);
    expect_fault(Fault::kProtocol, "malformed");
}

TEST_F(SessionTest, GarbageInARecordEndsItWithAnAlert) {
    connect();
    client_.send("hello");
    std::string wire = client_.taken();
    wire[8] = static_cast<char>(wire[8] ^ 1);
    EXPECT_EQ(feed(session_, wire).status, Status::kFailed);
    EXPECT_EQ(session_.fault(), Fault::kProtocol);
    EXPECT_FALSE(session_.out().empty());
    char text[] = "x";
    const iovec part{text, 1};
    EXPECT_EQ(session_.write(&part, 1).status, Status::kFailed);
}

TEST_F(SessionTest, AnOldVersionIsNamed) {
    SSL_CTX_set_security_level(client_.ctx(), 0);
    SSL_CTX_set_min_proto_version(client_.ctx(), TLS1_VERSION);
    SSL_CTX_set_max_proto_version(client_.ctx(), TLS1_1_VERSION);
    client_.connect();
    (void)shake(session_, client_);
    expect_fault(Fault::kVersion, "too old");
}

TEST_F(SessionTest, NoSharedCipherIsNamed) {
    SSL_CTX_set_max_proto_version(client_.ctx(), TLS1_2_VERSION);
    SSL_CTX_set_cipher_list(client_.ctx(), "AES128-SHA256");  // no forward secrecy
    client_.connect();
    (void)shake(session_, client_);
    expect_fault(Fault::kNoSharedCipher, "no cipher in common");
}

TEST_F(SessionTest, AlpnWithoutACommonProtocolIsRefused) {
    client_.offer_alpn("\x05other");
    client_.connect();
    (void)shake(session_, client_);
    expect_fault(Fault::kNoProtocol, "ALPN");
}

TEST_F(SessionTest, TheServersOrderDecidesAlpn) {
    ContextOptions options = options_with(issued());
    options.alpn = {"h2", "http/1.1"};
    Session session(make_context(options));
    client_.offer_alpn(std::string_view("\x08http/1.1\x02h2"));
    client_.connect();
    (void)shake(session, client_);
    EXPECT_EQ(session.alpn(), "h2");
}

TEST_F(SessionTest, AClientWithoutAlpnIsServed) {
    client_.connect();
    (void)shake(session_, client_);
    EXPECT_TRUE(session_.handshaken());
    EXPECT_EQ(session_.alpn(), "");
}

TEST_F(SessionTest, AClientThatDoesNotTrustUsSaysSo) {
    SSL_CTX_set_verify(client_.ctx(), SSL_VERIFY_PEER, nullptr);
    client_.connect();
    (void)shake(session_, client_);
    EXPECT_EQ(session_.fault(), Fault::kAlert);
    EXPECT_NE(session_.error_text().find("the client gave up: "), std::string::npos);
}

TEST_F(SessionTest, RenegotiationIsRefused) {
    SSL_CTX_set_max_proto_version(client_.ctx(), TLS1_2_VERSION);
    connect();
    EXPECT_EQ(SSL_renegotiate(client_.ssl()), 1);
    (void)SSL_do_handshake(client_.ssl());
    (void)feed(session_, client_.taken());
    ERR_clear_error();
    client_.receive(take_out(session_));
    const unsigned long error = ERR_peek_error();
    EXPECT_EQ(ERR_GET_REASON(error), SSL_R_NO_RENEGOTIATION);
}

TEST_F(SessionTest, SessionIdsAreOffAndEarlyDataIsNotOffered) {
    connect();
    const SSL_SESSION* session = SSL_get0_session(client_.ssl());
    EXPECT_EQ(SSL_SESSION_get_max_early_data(session), 0U);
    Session second(context());
    Client client;
    SSL_CTX_set_max_proto_version(client.ctx(), TLS1_2_VERSION);
    SSL_CTX_set_options(client.ctx(), SSL_OP_NO_TICKET);
    client.connect();
    (void)shake(second, client);
    unsigned size = 0;
    SSL_SESSION_get_id(SSL_get0_session(client.ssl()), &size);
    EXPECT_EQ(size, 0U);
}

}  // namespace
}  // namespace mono::tls
