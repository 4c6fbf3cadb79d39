#include "session/response.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

namespace mono::session {
namespace {

struct Given {
    bool modern;  // HTTP/1.1
    bool head;    // HEAD
    int status;
    bool has_length;  // the application sends Content-Length
    int64_t known;
    bool keep_alive;  // the request asks for it
};

std::vector<Given> table() {
    std::vector<Given> rows;
    for (bool modern : {false, true})
        for (bool head : {false, true})
            for (int status : {101, 200, 204, 304, 404})
                for (bool has_length : {false, true})
                    for (int64_t known : {-1, 0, 5})
                        for (bool keep_alive : {false, true})
                            rows.push_back({modern, head, status, has_length, known, keep_alive});
    return rows;
}

http::RequestHead request_of(const Given& given) {
    http::RequestHead request;
    request.version_minor = given.modern ? 1 : 0;
    request.head_method = given.head;
    request.keep_alive = given.keep_alive;
    return request;
}

std::string body_bytes(const Response::Frame& frame, std::string_view piece) {
    std::string text(frame.prefix, frame.prefix_length);
    text += piece.substr(0, frame.body_length);
    return text + std::string(frame.suffix);
}

std::string head_bytes(const Response& response, const ResponseContext& context) {
    std::string head(response.head_size_max(context), '\0');
    const size_t size = response.write_head(context, head.data());
    EXPECT_LE(size, head.size());
    head.resize(size);
    return head;
}

std::optional<std::string> field_of(const std::string& head, const std::string& name) {
    const size_t at = head.find("\r\n" + name + ": ");
    if (at == std::string::npos) return std::nullopt;
    const size_t begin = at + name.size() + 4;
    return head.substr(begin, head.find("\r\n", begin) - begin);
}

// A client's reading, RFC 9112 section 6.3: how many bytes of `wire` are the body's framing, and
// which body they give. nullopt: it waits for more, or takes what follows for a next response.
std::optional<std::string> read_body(const Given& given, const std::string& head, std::string wire,
                                     bool& until_close) {
    until_close = false;
    const bool none =
        given.head || given.status < 200 || given.status == 204 || given.status == 304;
    if (none) return wire.empty() ? std::optional<std::string>("") : std::nullopt;
    if (field_of(head, "Transfer-Encoding") == "chunked") {
        std::string body;
        while (true) {
            const size_t line = wire.find("\r\n");
            if (line == std::string::npos) return std::nullopt;
            const size_t size = std::strtoul(wire.c_str(), nullptr, 16);
            if (wire.size() < line + 2 + size + 2) return std::nullopt;
            body += wire.substr(line + 2, size);
            if (wire.substr(line + 2 + size, 2) != "\r\n") return std::nullopt;
            wire.erase(0, line + 2 + size + 2);
            if (size == 0) return wire.empty() ? std::optional(body) : std::nullopt;
        }
    }
    if (auto length = field_of(head, "Content-Length"))
        return *length == std::to_string(wire.size()) ? std::optional(wire) : std::nullopt;
    until_close = true;
    return wire;
}

// The application gives "ab", "", "cde" and the end by itself.
void check(const Given& given) {
    Response response;
    ASSERT_EQ(response.head.set_status(std::to_string(given.status) + " X"),
              http::HeadFault::kNone);
    if (given.has_length) {
        ASSERT_EQ(response.head.add("Content-Length", "5"), http::HeadFault::kNone);
    }
    const ResponseContext context{"mono", "", true};
    response.begin(request_of(given), context, given.known);
    const std::string head = head_bytes(response, context);
    const bool nothing = given.known == 0 && !given.has_length;
    std::string wire;
    std::string body;
    if (!nothing) {
        for (std::string_view piece : {"ab", "", "cde"})
            wire += body_bytes(response.frame(piece.size(), false), piece);
        body = "abcde";
    }
    EXPECT_TRUE(response.head.status() == 101 || given.head || response.no_body() ||
                response.owed() == 0);
    wire += body_bytes(response.frame(0, true), "");

    bool until_close = false;
    const auto read = read_body(given, head, wire, until_close);
    const bool none = response.no_body();
    ASSERT_TRUE(read.has_value()) << head << wire;
    EXPECT_EQ(*read, none ? "" : body) << head << wire;
    EXPECT_EQ(response.body_bytes(), none ? 0 : body.size());
    EXPECT_EQ(response.dropped(), none && !body.empty());
    EXPECT_TRUE(response.complete());

    // RFC 9112 section 9.3: what is delimited by the end cannot persist; what is not, may.
    EXPECT_EQ(response.keep_alive(), given.keep_alive && !until_close && given.status != 101);
    EXPECT_EQ(field_of(head, "Connection"), response.keep_alive() ? "keep-alive" : "close");
    EXPECT_EQ(response.close_delimited(), until_close);
    // RFC 9112 section 6.1 and RFC 9110 section 8.6
    const bool chunked = field_of(head, "Transfer-Encoding").has_value();
    const bool length = field_of(head, "Content-Length").has_value();
    EXPECT_FALSE(chunked && (!given.modern || none || length));
    const bool never = given.status < 200 || given.status == 204;
    EXPECT_FALSE(length && (never || (given.status == 304 && !given.has_length)));
    EXPECT_TRUE(length || never || !given.has_length);
    EXPECT_TRUE(head.starts_with(given.modern ? "HTTP/1.1 " : "HTTP/1.0 "));
}

TEST(Response, FramingTableAsAClientReadsIt) {
    for (const Given& given : table()) {
        SCOPED_TRACE(testing::Message()
                     << "1." << given.modern << (given.head ? " HEAD " : " GET ") << given.status
                     << " length " << given.has_length << " known " << given.known << " keep-alive "
                     << given.keep_alive);
        check(given);
    }
}

Response begun(std::string_view length, int64_t known) {
    Response response;
    EXPECT_EQ(response.head.set_status("200 OK"), http::HeadFault::kNone);
    if (!length.empty()) {
        EXPECT_EQ(response.head.add("Content-Length", length), http::HeadFault::kNone);
    }
    http::RequestHead request;
    request.keep_alive = true;
    response.begin(request, {"", "", true}, known);
    return response;
}

TEST(Response, TruncatesToContentLength) {
    Response response = begun("5", -1);
    EXPECT_EQ(response.owed(), 5u);
    EXPECT_EQ(response.frame(3, false).body_length, 3u);
    EXPECT_EQ(response.owed(), 2u);
    EXPECT_FALSE(response.dropped());
    EXPECT_EQ(response.frame(3, false).body_length, 2u);
    EXPECT_TRUE(response.dropped());
    EXPECT_EQ(response.frame(9, true).body_length, 0u);
    EXPECT_EQ(response.owed(), 0u);
    EXPECT_EQ(response.body_bytes(), 5u);
    EXPECT_TRUE(response.complete());
}

TEST(Response, OwesWhatContentLengthPromised) {
    Response response = begun("5", -1);
    response.frame(3, true);
    EXPECT_EQ(response.owed(), 2u);
    EXPECT_FALSE(response.complete());
    EXPECT_FALSE(response.dropped());
}

TEST(Response, AnUnendedChunkedBodyIsNotComplete) {
    Response response = begun("", -1);
    EXPECT_EQ(response.owed(), 0u);
    response.frame(3, false);
    EXPECT_FALSE(response.complete());
    EXPECT_EQ(response.frame(0, true).suffix, "0\r\n\r\n");
    EXPECT_TRUE(response.complete());
}

TEST(Response, AResponseThatNeverBeganIsComplete) {
    Response response;
    EXPECT_TRUE(response.complete());  // an upgraded socket: there is nothing to reset
    EXPECT_FALSE(response.keep_alive());
}

TEST(Response, TheLastChunkLeavesWithItsData) {
    Response response = begun("", -1);
    Response::Frame frame = response.frame(0x1a, true);
    EXPECT_EQ(std::string(frame.prefix, frame.prefix_length), "1A\r\n");
    EXPECT_EQ(frame.suffix, "\r\n0\r\n\r\n");
    EXPECT_TRUE(response.complete());
}

TEST(Response, TheServerMayEndAnyConnection) {
    Response response;
    ASSERT_EQ(response.head.set_status("200 OK"), http::HeadFault::kNone);
    http::RequestHead request;
    request.keep_alive = true;
    const ResponseContext context{"", "", false};
    response.begin(request, context, 0);
    EXPECT_FALSE(response.keep_alive());
    EXPECT_EQ(field_of(head_bytes(response, context), "Connection"), "close");
}

TEST(Response, AnUpgradeSaysSo) {
    Response response;
    ASSERT_EQ(response.head.set_status("101 Switching Protocols"), http::HeadFault::kNone);
    ASSERT_EQ(response.head.add("Upgrade", "websocket"), http::HeadFault::kNone);
    ASSERT_EQ(response.head.add("Connection", "Upgrade"), http::HeadFault::kNone);
    http::RequestHead request;
    request.keep_alive = true;
    const ResponseContext context{"", "", true};
    response.begin(request, context, -1);
    EXPECT_EQ(field_of(head_bytes(response, context), "Connection"), "upgrade");
    EXPECT_FALSE(response.keep_alive());
}

TEST(Response, AnotherMajorVersionIsAnsweredAsOurOwn) {
    Response response;
    ASSERT_EQ(response.head.set_status("200 OK"), http::HeadFault::kNone);
    http::RequestHead request;
    request.version_major = 2;
    request.version_minor = 0;
    const ResponseContext context{"", "", true};
    response.begin(request, context, -1);
    const std::string head = head_bytes(response, context);
    EXPECT_EQ(field_of(head, "Transfer-Encoding"), "chunked");
    EXPECT_TRUE(head.starts_with("HTTP/1.1 ")) << head;  // 1.0 knows no chunks
}

TEST(Response, NoVersionIsAnsweredThatIsNotOurs) {
    for (uint8_t minor = 0; minor <= 9; ++minor) {
        Response response;
        ASSERT_EQ(response.head.set_status("200 OK"), http::HeadFault::kNone);
        http::RequestHead request;
        request.version_minor = minor;
        const ResponseContext context{"", "", true};
        response.begin(request, context, 0);
        const std::string head = head_bytes(response, context);
        EXPECT_TRUE(head.starts_with(minor == 0 ? "HTTP/1.0 " : "HTTP/1.1 ")) << head;
    }
}

TEST(Response, ClearForgetsEverything) {
    Response response = begun("5", -1);
    response.frame(7, true);
    response.clear();
    EXPECT_FALSE(response.begun() || response.keep_alive() || response.dropped());
    EXPECT_EQ(response.owed() + response.body_bytes(), 0u);
    EXPECT_TRUE(response.complete());
    EXPECT_TRUE(response.head.empty());
}

}  // namespace
}  // namespace mono::session
