// Requests are covered by tests/vectors/ws; here are the answers.
#include "websocket/handshake.hpp"

#include <gtest/gtest.h>

#include "http1/framing.hpp"
#include "http1/head_parser.hpp"

namespace mono::websocket {
namespace {

constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";  // RFC 6455 section 1.3

std::string request(std::string_view more) {
    std::string text =
        "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
    return text.append(more).append("\r\n");
}

// Parses `text`, whose head outlives the call because the caller holds it.
Refusal read(std::string& text, Opening& opening, http::RequestHead& head) {
    const http1::HeadRules rules;
    http1::HeadParser parser(rules);
    EXPECT_EQ(parser.parse(text.data(), static_cast<uint32_t>(text.size()), head),
              http1::ParseStatus::kComplete);
    EXPECT_EQ(http1::apply_framing(text.data(), head).error, http::Error::kNone);
    EXPECT_TRUE(is_opening(text.data(), head));
    return read_opening(text.data(), head, DeflateRules(), opening);
}

std::string written(const http::ResponseHead& answer) {
    http::ResponseHead::Context context;
    context.connection = "Upgrade";
    std::string out(answer.size_max(context), '\0');
    out.resize(answer.write(context, out.data()));
    return out;
}

TEST(Handshake, AcceptsAsTheStandardShows) {
    EXPECT_EQ(accept_value(kKey), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    std::string text = request(
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Protocol: chat, superchat\r\n"
        "Sec-WebSocket-Protocol: third\r\n"
        "Sec-WebSocket-Version: 13\r\n");
    http::RequestHead head;
    Opening opening;
    ASSERT_EQ(read(text, opening, head), Refusal::kNone);
    EXPECT_EQ(opening.key, kKey);
    EXPECT_EQ(opening.subprotocols, (std::vector<std::string_view>{"chat", "superchat", "third"}));
    EXPECT_TRUE(opening.offers("superchat"));
    EXPECT_FALSE(opening.offers("Chat"));
    EXPECT_FALSE(opening.deflate.has_value());
    http::ResponseHead answer;
    ASSERT_EQ(accept_ws(opening, "superchat", answer), http::HeadFault::kNone);
    ASSERT_EQ(add_field("X-Own", "yes", answer), http::HeadFault::kNone);
    EXPECT_EQ(written(answer),
              "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
              "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
              "Sec-WebSocket-Protocol: superchat\r\nX-Own: yes\r\n\r\n");
}

TEST(Handshake, AgreesOnCompression) {
    std::string text = request(
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Extensions: x-unknown\r\n"
        "Sec-WebSocket-Extensions: permessage-deflate\r\n"
        "Sec-WebSocket-Version: 13\r\n");
    http::RequestHead head;
    Opening opening;
    ASSERT_EQ(read(text, opening, head), Refusal::kNone);
    http::ResponseHead answer;
    ASSERT_EQ(accept_ws(opening, "", answer), http::HeadFault::kNone);
    EXPECT_NE(written(answer).find("\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"),
              std::string::npos);
    EXPECT_EQ(written(answer).find("Sec-WebSocket-Protocol"), std::string::npos);
}

TEST(Handshake, RefusesWhatTheApplicationMustNotSay) {
    http::ResponseHead answer;
    Opening opening;
    opening.key = kKey;
    EXPECT_EQ(accept_ws(opening, "two words", answer), http::HeadFault::kValueInvalid);
    EXPECT_EQ(accept_ws(opening, "a\r\nb", answer), http::HeadFault::kValueInvalid);
    ASSERT_EQ(accept_ws(opening, "", answer), http::HeadFault::kNone);
    for (const char* name : {"Sec-WebSocket-Accept", "sec-websocket-protocol", "UPGRADE",
                             "Connection", "Content-Length", "Transfer-Encoding", "a b"})
        EXPECT_EQ(add_field(name, "1", answer), http::HeadFault::kNameInvalid) << name;
    EXPECT_EQ(add_field("X-Own", "a\r\nb: c", answer), http::HeadFault::kValueInvalid);
    EXPECT_EQ(add_field("Sec-WebSocket-", "an unfinished name", answer), http::HeadFault::kNone);
}

TEST(Handshake, RefusalPages) {
    const std::string version = refusal_page(Refusal::kVersion);
    EXPECT_TRUE(version.starts_with("HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\n"));
    EXPECT_NE(version.find("\r\nSec-WebSocket-Version: 13\r\n"), std::string::npos);
    EXPECT_NE(version.find("\r\nConnection: close\r\n"), std::string::npos);
    const std::string key = refusal_page(Refusal::kKey);
    EXPECT_TRUE(key.starts_with("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n"));
    EXPECT_EQ(key.find("Upgrade"), std::string::npos);
    EXPECT_EQ(describe(Refusal::kBody).rule, "ws-body");
}

}  // namespace
}  // namespace mono::websocket
