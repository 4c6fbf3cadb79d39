#include "http2/request_text.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "http1/head_parser.hpp"

namespace mono::http2 {
namespace {

using Verdict = RequestText::Verdict;
using Fields = std::vector<std::pair<std::string, std::string>>;

RequestText made(const Fields& fields, size_t list_bytes_max = 65536) {
    RequestText request;
    for (const auto& [name, value] : fields) request.add(name, value, list_bytes_max);
    request.finish();
    return request;
}

Fields get(const Fields& more = {}) {
    Fields fields = {
        {":method", "GET"}, {":scheme", "https"}, {":authority", "a.example"}, {":path", "/x?y"}};
    fields.insert(fields.end(), more.begin(), more.end());
    return fields;
}

TEST(RequestText, IsAnHttp1Head) {
    RequestText request = made(get({{"accept", "*/*"}, {"content-length", "3"}}));
    EXPECT_EQ(request.text(),
              "GET /x?y HTTP/1.1\r\nhost: a.example\r\naccept: */*\r\ncontent-length: 3\r\n\r\n");
    const RequestInfo info = request.info(false);
    EXPECT_EQ(info.scheme, "https");
    EXPECT_EQ(info.authority, "a.example");
    EXPECT_TRUE(info.has_content_length);
    EXPECT_FALSE(info.end_stream);
}

TEST(RequestText, TheParserOfHttp1TakesIt) {
    const RequestText request = made(get({{"cookie", "a=1"}, {"x", ""}, {"cookie", "b=2"}}));
    std::string text(request.text());
    EXPECT_TRUE(text.ends_with("\r\ncookie: a=1; b=2\r\n\r\n")) << text;
    const http1::HeadRules rules;
    http1::HeadParser parser(rules);
    http::RequestHead head;
    EXPECT_EQ(parser.parse(text.data(), static_cast<uint32_t>(text.size()), head),
              http1::ParseStatus::kComplete);
    EXPECT_EQ(head.length, text.size());
    EXPECT_EQ(head.fields.size(), 3U);
}

TEST(RequestText, HostMayRepeatTheAuthority) {
    EXPECT_EQ(made(get({{"host", "A.example"}})).text(),
              "GET /x?y HTTP/1.1\r\nhost: a.example\r\n\r\n");
    EXPECT_EQ(made(get({{"host", "b.example"}})).verdict(), Verdict::kMalformed);
    const RequestText request =
        made({{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {"host", "b.example"}});
    EXPECT_EQ(request.text(), "GET / HTTP/1.1\r\nhost: b.example\r\n\r\n");
    EXPECT_EQ(request.info(true).authority, "b.example");
}

TEST(RequestText, ConnectNamesAnAuthorityOnly) {
    EXPECT_EQ(made({{":method", "CONNECT"}, {":authority", "a:443"}}).text(),
              "CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n");
    EXPECT_EQ(made({{":method", "CONNECT"}, {":authority", "a:443"}, {":path", "/"}}).verdict(),
              Verdict::kMalformed);
    EXPECT_EQ(made({{":method", "CONNECT"}}).verdict(), Verdict::kMalformed);
}

Fields websocket(const std::string& protocol) {
    return {{":method", "CONNECT"},    {":protocol", protocol}, {":scheme", "https"},
            {":path", "/chat"},        {":authority", "a"},     {"sec-websocket-version", "13"},
            {"sec-websocket-key", "x"}};
}

TEST(RequestText, AWebSocketReadsAsItsHandshake) {
    const RequestText request = made(websocket("websocket"));
    EXPECT_EQ(request.text(),
              "GET /chat HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\n"
              "sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\nsec-websocket-version: 13\r\n\r\n");
    EXPECT_TRUE(request.websocket());
    EXPECT_EQ(request.info(false).protocol, "websocket");
    EXPECT_EQ(made(websocket("connect-udp")).verdict(), Verdict::kUnknown);
}

TEST(RequestText, NoFieldMakesALineOfItsOwn) {
    EXPECT_EQ(made(get({{"x", "1\r\ny: 2"}})).verdict(), Verdict::kMalformed);
    EXPECT_EQ(made(get({{"x\r\ny", "1"}})).verdict(), Verdict::kMalformed);
    EXPECT_EQ(made(get({{"x: y", "1"}})).verdict(), Verdict::kMalformed);
    for (const char* value : {"/ HTTP/1.1", "/\r\nx: y", "", "/\x7F"}) {
        const Fields fields = {{":method", "GET"}, {":scheme", "http"}, {":path", value}};
        EXPECT_EQ(made(fields).verdict(), Verdict::kMalformed) << value;
    }
    for (const char* value : {"GET /", "G\r\n", "", "G:"}) {
        const Fields fields = {{":method", value}, {":scheme", "http"}, {":path", "/"}};
        EXPECT_EQ(made(fields).verdict(), Verdict::kMalformed) << value;
    }
    EXPECT_EQ(made(get({{"x", std::string("a\0b", 3)}})).verdict(), Verdict::kMalformed);
}

TEST(RequestText, PseudoFieldsComeOnceAndFirst) {
    EXPECT_EQ(made(get({{"x", "1"}, {":scheme", "http"}})).verdict(), Verdict::kMalformed);
    EXPECT_EQ(made(get({{":path", "/"}})).verdict(), Verdict::kMalformed);
    EXPECT_EQ(made(get({{":status", "200"}})).verdict(), Verdict::kMalformed);
    EXPECT_EQ(made({}).verdict(), Verdict::kMalformed);
}

TEST(RequestText, AListHasABound) {
    // 3 + 6 + 32, as RFC 9113 section 6.5.2 counts.
    const size_t size = made(get()).list_bytes();
    EXPECT_EQ(made(get({{"abc", "abcdef"}}), size + 41).verdict(), Verdict::kGood);
    const RequestText request = made(get({{"abc", "abcdef"}, {"x", "y"}}), size + 40);
    EXPECT_EQ(request.verdict(), Verdict::kTooLarge);
    EXPECT_EQ(request.text().find("abc"), std::string_view::npos);
}

TEST(RequestText, IsUsedAgain) {
    RequestText request = made(get({{"priority", "u=1, i"}, {"cookie", "a"}}));
    EXPECT_EQ(request.info(true).priority, (Priority{1, true}));
    request.clear();
    for (const auto& [name, value] : get()) request.add(name, value, 65536);
    request.finish();
    EXPECT_EQ(request.text(), "GET /x?y HTTP/1.1\r\nhost: a.example\r\n\r\n");
    EXPECT_EQ(request.info(true).priority, Priority{});
}

TEST(Trailers, LeaveOutWhatMayNotBeOne) {
    std::string lines;
    add_trailer(lines, "x-sum", "1");
    add_trailer(lines, "content-length", "5");
    add_trailer(lines, "transfer-encoding", "chunked");
    add_trailer(lines, "authorization", "y");
    add_trailer(lines, "x", "a\r\nb");
    add_trailer(lines, "grpc-status", "0");
    EXPECT_EQ(lines, "x-sum: 1\r\ngrpc-status: 0\r\n");
}

}  // namespace
}  // namespace mono::http2
