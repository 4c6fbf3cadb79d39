#include "http2/response_fields.hpp"

#include <gtest/gtest.h>

namespace mono::http2 {
namespace {

std::string shown(std::string_view lines, bool websocket = false) {
    ResponseFields fields;
    fields.read(lines, websocket);
    std::string text;
    for (const FieldView& field : fields.list())
        text.append(field.name).append("=").append(field.value).append("|");
    return text;
}

TEST(ResponseFields, LowersNamesAndTrimsValues) {
    EXPECT_EQ(shown("Content-Type: Text/HTML\r\nX-A:\t b \r\nX-Empty: \r\n"),
              "content-type=Text/HTML|x-a=b|x-empty=|");
    EXPECT_EQ(shown("A: 1\r\nB: 2"), "a=1|b=2|");
    EXPECT_EQ(shown("Set-Cookie: a\r\nSet-Cookie: b\r\n"), "set-cookie=a|set-cookie=b|");
}

TEST(ResponseFields, LeavesOutWhatIsOfTheConnection) {
    EXPECT_EQ(shown("Connection: close\r\nKeep-Alive: 1\r\nTransfer-Encoding: chunked\r\n"
                    "Upgrade: x\r\nProxy-Connection: y\r\nA: 1\r\n"),
              "a=1|");
    EXPECT_EQ(shown("Sec-WebSocket-Accept: x\r\nA: 1\r\n", true), "a=1|");
    EXPECT_EQ(shown("Sec-WebSocket-Accept: x\r\n"), "sec-websocket-accept=x|");
}

TEST(ResponseFields, LeavesOutLinesThatAreNone) {
    EXPECT_EQ(shown("no colon\r\n: no name\r\nA: b:c\r\n\r\n"), "a=b:c|");
    EXPECT_EQ(shown(""), "");
}

TEST(ResponseFields, KnowsTheLength) {
    ResponseFields fields;
    fields.read("Content-Length: 12\r\nTrailer: x\r\n");
    EXPECT_EQ(fields.content_length(), 12U);
    EXPECT_TRUE(fields.announces_trailers());
    fields.read("A: 1\r\n");
    EXPECT_EQ(fields.content_length(), std::nullopt);
    EXPECT_FALSE(fields.announces_trailers());
    fields.read("Content-Length: twelve\r\n");
    EXPECT_EQ(fields.content_length(), std::nullopt);
}

}  // namespace
}  // namespace mono::http2
