#include "http/response_head.hpp"

#include <gtest/gtest.h>

#include <memory>

namespace mono::http {
namespace {

ResponseHead::Context context_of(std::string_view connection) {
    ResponseHead::Context context;
    context.server = "monoceros";
    context.date = "Sun, 06 Nov 1994 08:49:37 GMT";
    context.connection = connection;
    return context;
}

// Into a block of exactly size_max: AddressSanitizer sees a bound that is too small.
std::string written(const ResponseHead& head, const ResponseHead::Context& context) {
    const size_t room = head.size_max(context);
    const auto out = std::make_unique<char[]>(room);
    const size_t size = head.write(context, out.get());
    EXPECT_LE(size, room);
    return {out.get(), size};
}

TEST(ResponseHead, WritesInTheOrderOfTheContract) {
    ResponseHead head;
    ASSERT_EQ(head.set_status("200 OK"), HeadFault::kNone);
    ASSERT_EQ(head.add("content-TYPE", " text/plain\t"), HeadFault::kNone);
    ASSERT_EQ(head.add("X-Empty", ""), HeadFault::kNone);
    ASSERT_EQ(head.add("Set-Cookie", "a=1"), HeadFault::kNone);
    ASSERT_EQ(head.add("Set-Cookie", "b=\xe9"), HeadFault::kNone);
    ResponseHead::Context context = context_of("close");
    context.chunked = true;
    EXPECT_EQ(written(head, context),
              "HTTP/1.1 200 OK\r\nServer: monoceros\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
              "Connection: close\r\nTransfer-Encoding: chunked\r\ncontent-TYPE: text/plain\r\n"
              "X-Empty: \r\nSet-Cookie: a=1\r\nSet-Cookie: b=\xe9\r\n\r\n");
}

TEST(ResponseHead, VersionAndMissingParts) {
    ResponseHead head;
    ASSERT_EQ(head.set_status("404"), HeadFault::kNone);
    ResponseHead::Context context;
    context.version_minor = 0;
    EXPECT_EQ(head.status_line(), "404");
    EXPECT_EQ(written(head, context), "HTTP/1.0 404 \r\n\r\n");
}

TEST(ResponseHead, ContentLengthIsAddedLastOrDropped) {
    ResponseHead head;
    ASSERT_EQ(head.set_status("200 OK"), HeadFault::kNone);
    ASSERT_EQ(head.add("A", "1"), HeadFault::kNone);
    ResponseHead::Context context;
    context.add_content_length = true;
    context.content_length = UINT64_MAX;
    EXPECT_EQ(written(head, context),
              "HTTP/1.1 200 OK\r\nA: 1\r\nContent-Length: 18446744073709551615\r\n\r\n");
    context.content_length = 0;
    EXPECT_EQ(written(head, context), "HTTP/1.1 200 OK\r\nA: 1\r\nContent-Length: 0\r\n\r\n");

    ASSERT_EQ(head.add("Content-LENGTH", " 12 "), HeadFault::kNone);
    ASSERT_EQ(head.add("B", "2"), HeadFault::kNone);
    EXPECT_TRUE(head.has_content_length());
    EXPECT_EQ(head.content_length(), 12U);
    context.add_content_length = false;
    EXPECT_EQ(written(head, context),
              "HTTP/1.1 200 OK\r\nA: 1\r\nContent-LENGTH: 12\r\nB: 2\r\n\r\n");
    context.drop_content_length = true;
    EXPECT_EQ(written(head, context), "HTTP/1.1 200 OK\r\nA: 1\r\nB: 2\r\n\r\n");
}

TEST(ResponseHead, ContentLengthMustBeOneNumber) {
    ResponseHead head;
    for (const char* value : {"", "-1", "+1", "1, 1", "0x1", "1.0", "18446744073709551616", "a"})
        EXPECT_EQ(head.add("Content-Length", value), HeadFault::kContentLengthInvalid) << value;
    EXPECT_FALSE(head.has_content_length());
    EXPECT_EQ(head.add("Content-Length", "5"), HeadFault::kNone);
    EXPECT_EQ(head.add("content-length", "05"), HeadFault::kNone);  // the same: once is written
    EXPECT_EQ(head.add("Content-Length", "6"), HeadFault::kContentLengthInvalid);
    EXPECT_EQ(head.fields(), "Content-Length: 5\r\n");
}

TEST(ResponseHead, TheServersOwnFieldsAreDropped) {
    ResponseHead head;
    for (const char* name :
         {"Connection", "KEEP-alive", "Proxy-Authenticate", "Proxy-Authorization", "TE", "Trailers",
          "Transfer-Encoding", "Upgrade", "Server", "date"})
        EXPECT_EQ(head.add(name, "x"), HeadFault::kNone) << name;
    EXPECT_EQ(head.fields(), "");
    EXPECT_FALSE(head.upgrade());
    for (const char* name : {"Tf", "Data", "Servet", "Upgrades", "Connections", "Trailer"})
        EXPECT_EQ(head.add(name, "x"), HeadFault::kNone) << name;
    EXPECT_EQ(head.fields(),
              "Tf: x\r\nData: x\r\nServet: x\r\nUpgrades: x\r\nConnections: x\r\nTrailer: x\r\n");
}

TEST(ResponseHead, WebSocketUpgrade) {
    ResponseHead head;
    EXPECT_EQ(head.add("Connection", "close, upgrade"), HeadFault::kNone);
    EXPECT_FALSE(head.upgrade());
    EXPECT_EQ(head.add("connection", " Upgrade "), HeadFault::kNone);
    EXPECT_TRUE(head.upgrade());
    EXPECT_EQ(head.add("Upgrade", "h2c"), HeadFault::kNone);
    EXPECT_EQ(head.add("Upgrade", "WebSocket"), HeadFault::kNone);
    EXPECT_EQ(head.fields(), "Upgrade: WebSocket\r\n");
}

TEST(ResponseHead, RefusesHeaderInjection) {
    ResponseHead head;
    for (int byte = 0; byte < 256; ++byte) {
        const bool allowed = byte == '\t' || (byte >= 0x20 && byte != 0x7F);
        const std::string text = std::string("a") + static_cast<char>(byte) + "b";
        EXPECT_EQ(head.add("X", text), allowed ? HeadFault::kNone : HeadFault::kValueInvalid);
        EXPECT_EQ(head.set_status("200 " + text),
                  allowed ? HeadFault::kNone : HeadFault::kStatusInvalid);
    }
    for (const char* name : {"", "A B", "A:", "A\r\nB", "A\n", "\xe9", "A(", " A", "A "})
        EXPECT_EQ(head.add(name, "x"), HeadFault::kNameInvalid) << name;
    // What would be dropped is checked all the same.
    EXPECT_EQ(head.add("Server", "a\r\nb: c"), HeadFault::kValueInvalid);
    EXPECT_EQ(head.add("Date", "x\n"), HeadFault::kValueInvalid);
}

TEST(ResponseHead, StatusGrammar) {
    ResponseHead head;
    for (const char* status : {"", "2", "20", "2000", "20 OK", "200OK", "200\tOK", "200\r\n",
                               "abc OK", "+20 OK", " 200 OK", "000 No", "099 No", "2 0 OK"})
        EXPECT_EQ(head.set_status(status), HeadFault::kStatusInvalid) << status;
    EXPECT_TRUE(head.empty());
    for (const char* status :
         {"100 Continue", "200", "200 ", "299 \xe9t\xe9", "999 Any thing\there"})
        EXPECT_EQ(head.set_status(status), HeadFault::kNone) << status;
    EXPECT_EQ(head.status(), 999);
    EXPECT_FALSE(head.empty());
}

TEST(ResponseHead, WhichStatusHasNoBody) {
    ResponseHead head;
    for (const auto& [status, forbids] : {std::pair{"100", true},
                                          {"199", true},
                                          {"200", false},
                                          {"204", true},
                                          {"205", false},
                                          {"304", true},
                                          {"303", false},
                                          {"404", false}}) {
        ASSERT_EQ(head.set_status(status), HeadFault::kNone);
        EXPECT_EQ(head.status_forbids_body(), forbids) << status;
    }
}

TEST(ResponseHead, ClearForgetsEverything) {
    ResponseHead head;
    ASSERT_EQ(head.set_status("200 OK"), HeadFault::kNone);
    ASSERT_EQ(head.add("Content-Length", "5"), HeadFault::kNone);
    ASSERT_EQ(head.add("Connection", "upgrade"), HeadFault::kNone);
    head.clear();
    EXPECT_TRUE(head.empty());
    EXPECT_FALSE(head.upgrade());
    EXPECT_FALSE(head.has_content_length());
    EXPECT_EQ(head.add("Content-Length", "7"), HeadFault::kNone);
    EXPECT_EQ(head.content_length(), 7U);
    EXPECT_EQ(head.fields(), "Content-Length: 7\r\n");
}

TEST(Describe, EveryFaultHasWords) {
    for (const HeadFault fault : {HeadFault::kStatusInvalid, HeadFault::kNameInvalid,
                                  HeadFault::kValueInvalid, HeadFault::kContentLengthInvalid})
        EXPECT_GT(describe(fault).size(), 10U);
}

TEST(ErrorPage, IsWholeAndEscaped) {
    const std::string page = error_page(400, "<b> & \"q\" 'a'", {});
    const size_t end = page.find("\r\n\r\n");
    ASSERT_NE(end, std::string::npos);
    const std::string body = page.substr(end + 4);
    EXPECT_EQ(page.substr(0, end),
              "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n"
              "Content-Type: text/html\r\nContent-Length: " +
                  std::to_string(body.size()));
    EXPECT_NE(body.find("<title>Bad Request</title>"), std::string::npos);
    EXPECT_NE(body.find("<h1>Bad Request</h1>"), std::string::npos);
    EXPECT_NE(body.find("&lt;b&gt; &amp; &quot;q&quot; &#39;a&#39;"), std::string::npos);
    EXPECT_EQ(body.find("<b>"), std::string::npos);
}

TEST(ErrorPage, TakesAFieldMore) {
    std::string page = error_page(400, "busy", {});
    insert_field(page, "Retry-After", "1");
    EXPECT_TRUE(
        page.starts_with("HTTP/1.1 400 Bad Request\r\nRetry-After: 1\r\nConnection: close\r\n"));
}

TEST(ResponseHead, KnowsWhatItHas) {
    ResponseHead head;
    EXPECT_FALSE(head.has("X"));
    for (const char* name : {"X-Long", "x"}) EXPECT_EQ(head.add(name, "X: y"), HeadFault::kNone);
    EXPECT_TRUE(head.has("x-long"));
    EXPECT_TRUE(head.has("X"));
    EXPECT_FALSE(head.has("X-Lon"));
    EXPECT_EQ(head.find("X"), "X: y");
    EXPECT_EQ(head.find("y"), std::nullopt);
    EXPECT_FALSE(head.has("X-Longer"));
    EXPECT_FALSE(head.has("y"));
}

TEST(ReasonPhrase, KnownAndUnknown) {
    EXPECT_EQ(reason_phrase(200), "OK");
    EXPECT_EQ(reason_phrase(404), "Not Found");
    EXPECT_EQ(reason_phrase(431), "Request Header Fields Too Large");
    EXPECT_EQ(reason_phrase(501), "Not Implemented");
    EXPECT_EQ(reason_phrase(299), "Unknown");
    EXPECT_EQ(reason_phrase(0), "Unknown");
}

}  // namespace
}  // namespace mono::http
