// Requests are covered by tests/vectors/ws; here are the answers.
#include "http/ws_handshake.hpp"

#include <gtest/gtest.h>

#include "http/framing.hpp"
#include "http/head_parser.hpp"

namespace mono::http {
namespace {

constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";  // RFC 6455 section 1.3

std::string request(std::string_view more) {
    std::string text =
        "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
    return text.append(more).append("\r\n");
}

// Parses `text`, whose head outlives the call because the caller holds it.
WsRefusal read(std::string& text, WsOpening& opening, RequestHead& head) {
    const HeadRules rules;
    HeadParser parser(rules);
    EXPECT_EQ(parser.parse(text.data(), static_cast<uint32_t>(text.size()), head),
              ParseStatus::kComplete);
    EXPECT_EQ(apply_framing(text.data(), head).error, Error::kNone);
    EXPECT_TRUE(is_ws_opening(text.data(), head));
    return read_ws_opening(text.data(), head, WsDeflateRules(), opening);
}

std::string written(const ResponseHead& answer) {
    ResponseHead::Context context;
    context.connection = "Upgrade";
    std::string out(answer.size_max(context), '\0');
    out.resize(answer.write(context, out.data()));
    return out;
}

TEST(WsHandshake, AcceptsAsTheStandardShows) {
    EXPECT_EQ(ws_accept_value(kKey), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    std::string text = request(
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Protocol: chat, superchat\r\n"
        "Sec-WebSocket-Protocol: third\r\n"
        "Sec-WebSocket-Version: 13\r\n");
    RequestHead head;
    WsOpening opening;
    ASSERT_EQ(read(text, opening, head), WsRefusal::kNone);
    EXPECT_EQ(opening.key, kKey);
    EXPECT_EQ(opening.subprotocols, (std::vector<std::string_view>{"chat", "superchat", "third"}));
    EXPECT_TRUE(opening.offers("superchat"));
    EXPECT_FALSE(opening.offers("Chat"));
    EXPECT_FALSE(opening.deflate.has_value());
    ResponseHead answer;
    ASSERT_EQ(accept_ws(opening, "superchat", answer), HeadFault::kNone);
    ASSERT_EQ(add_ws_field("X-Own", "yes", answer), HeadFault::kNone);
    EXPECT_EQ(written(answer),
              "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
              "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
              "Sec-WebSocket-Protocol: superchat\r\nX-Own: yes\r\n\r\n");
}

TEST(WsHandshake, AgreesOnCompression) {
    std::string text = request(
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        "Sec-WebSocket-Extensions: x-unknown\r\n"
        "Sec-WebSocket-Extensions: permessage-deflate\r\n"
        "Sec-WebSocket-Version: 13\r\n");
    RequestHead head;
    WsOpening opening;
    ASSERT_EQ(read(text, opening, head), WsRefusal::kNone);
    ResponseHead answer;
    ASSERT_EQ(accept_ws(opening, "", answer), HeadFault::kNone);
    EXPECT_NE(written(answer).find("\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"),
              std::string::npos);
    EXPECT_EQ(written(answer).find("Sec-WebSocket-Protocol"), std::string::npos);
}

TEST(WsHandshake, RefusesWhatTheApplicationMustNotSay) {
    ResponseHead answer;
    WsOpening opening;
    opening.key = kKey;
    EXPECT_EQ(accept_ws(opening, "two words", answer), HeadFault::kValueInvalid);
    EXPECT_EQ(accept_ws(opening, "a\r\nb", answer), HeadFault::kValueInvalid);
    ASSERT_EQ(accept_ws(opening, "", answer), HeadFault::kNone);
    for (const char* name : {"Sec-WebSocket-Accept", "sec-websocket-protocol", "UPGRADE",
                             "Connection", "Content-Length", "Transfer-Encoding", "a b"})
        EXPECT_EQ(add_ws_field(name, "1", answer), HeadFault::kNameInvalid) << name;
    EXPECT_EQ(add_ws_field("X-Own", "a\r\nb: c", answer), HeadFault::kValueInvalid);
    EXPECT_EQ(add_ws_field("Sec-WebSocket-", "an unfinished name", answer), HeadFault::kNone);
}

TEST(WsHandshake, RefusalPages) {
    const std::string version = ws_refusal_page(WsRefusal::kVersion);
    EXPECT_TRUE(version.starts_with("HTTP/1.1 426 Upgrade Required\r\nUpgrade: websocket\r\n"));
    EXPECT_NE(version.find("\r\nSec-WebSocket-Version: 13\r\n"), std::string::npos);
    EXPECT_NE(version.find("\r\nConnection: close\r\n"), std::string::npos);
    const std::string key = ws_refusal_page(WsRefusal::kKey);
    EXPECT_TRUE(key.starts_with("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n"));
    EXPECT_EQ(key.find("Upgrade"), std::string::npos);
    EXPECT_EQ(describe(WsRefusal::kBody).rule, "ws-body");
}

}  // namespace
}  // namespace mono::http
