#include "log/access_format.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>

namespace mono::log {
namespace {

// A request with the slices that HeadParser would make, and the record of its answer.
class Request {
  public:
    Request(std::string_view method, std::string_view target) {
        head.method = slice(method);
        head.target = slice(target);
        const size_t question = target.find('?');
        head.path = {head.target.offset, static_cast<uint32_t>(std::min(question, target.size()))};
        if (question != std::string_view::npos) {
            head.query = {static_cast<uint32_t>(head.target.offset + question + 1),
                          static_cast<uint32_t>(target.size() - question - 1)};
        }
        head.path_plain = target.substr(0, question).find('%') == std::string_view::npos;
    }
    Request& field(std::string_view name, std::string_view value) {
        http::Field added;
        added.name = slice(name);
        added.value = slice(value);
        added.known = http::classify(name);
        head.fields.push_back(added);
        return *this;
    }
    AccessRecord record() const {
        AccessRecord made;
        made.buffer = bytes.data();
        made.head = &head;
        made.remote_addr = "192.0.2.7";
        made.status = 200;
        made.body_bytes = 1234;
        made.response_fields = "Content-Type: text/html\r\nX-Two: first\r\nx-two: second\r\n";
        made.duration_us = 3'004'567;
        made.finished_unix_us = 1'795'420'080'250'000;  // 2026-11-23 07:48:00.250 UTC
        made.pid = 4711;
        made.request_id = "a1/b=2";
        made.balancer_us = 1500;
        made.queue_us = 0;
        made.application_us = 2'000'001;
        return made;
    }

    std::string bytes;
    http::RequestHead head;

  private:
    base::Slice slice(std::string_view text) {
        const base::Slice made{static_cast<uint32_t>(bytes.size()),
                               static_cast<uint32_t>(text.size())};
        bytes.append(text).append(" ");
        return made;
    }
};

void set_zone(const char* zone) {
    setenv("TZ", zone, 1);
    tzset();
}

std::string line_of(std::string_view format, const AccessRecord& record) {
    base::Result<AccessFormat> compiled = AccessFormat::compile(format);
    if (!compiled) return compiled.sentence();
    std::string out;
    compiled.value().format(record, out);
    if (out.empty() || out.back() != '\n') return "no line feed: " + out;
    out.pop_back();
    return out;
}

TEST(AccessFormatTest, VariablesAreTheConnectionsOwn) {
    const std::vector<std::pair<std::string, std::string>> variables = {
        {"SSL_PROTOCOL", "TLSv1.3"}, {"SSL_CLIENT_S_DN", "CN=\"a\""}};
    AccessRecord record;
    record.variables = variables;
    auto format = AccessFormat::compile(
        "%({ssl_protocol}e)s %({SSL_CLIENT_S_DN}e)s %({SSL_CLIENT_VERIFY}e)s");
    ASSERT_TRUE(format.ok());
    EXPECT_FALSE(format.value().needs_environ());
    std::string line;
    format.value().format(record, line);
    EXPECT_EQ(line, "TLSv1.3 CN=\\\"a\\\" -\n");
}

TEST(AccessFormat, Combined) {
    set_zone("UTC");
    Request request("GET", "/path?x=1");
    request.field("Referer", "http://example.org/").field("User-Agent", "curl/8");
    request.field("Authorization", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    EXPECT_EQ(
        line_of(AccessFormat::kCombined, request.record()),
        "192.0.2.7 - Aladdin [23/Nov/2026:07:48:00 +0000] \"GET /path?x=1 HTTP/1.1\" 200 1234 "
        "\"http://example.org/\" \"curl/8\"");
}

TEST(AccessFormat, WhatWasNeverReadIsAbsent) {
    const Request request("", "");
    AccessRecord record = request.record();
    record.status = 400;
    EXPECT_EQ(line_of("%(r)s %(m)s %(U)s %(q)s %(H)s %({raw_uri}e)s %(u)s %(a)s %(s)s", record),
              "- - - - - - - - 400");
    EXPECT_NE(line_of("json", record).find("\"method\":null,\"target\":null,\"protocol\":null"),
              std::string::npos);
}

TEST(AccessFormat, EveryAtom) {
    set_zone("UTC");
    Request request("POST", "/caf%C3%A9?a=%20");
    request.field("X-One", "1").field("x-one", "2").field("Cookie", "a").field("cookie", "b");
    const AccessRecord record = request.record();
    const std::pair<const char*, const char*> expected[] = {
        {"%(h)s", "192.0.2.7"},
        {"%(l)s", "-"},
        {"%(u)s", "-"},
        {"%(t)s", "[23/Nov/2026:07:48:00 +0000]"},
        {"%(r)s", "POST /caf%C3%A9?a=%20 HTTP/1.1"},
        {"%(m)s", "POST"},
        {"%(U)s", "/caf\\xC3\\xA9"},
        {"%(q)s", "a=%20"},
        {"%(H)s", "HTTP/1.1"},
        {"%(s)s", "200"},
        {"%(B)s", "1234"},
        {"%(b)s", "1234"},
        {"%(f)s", "-"},
        {"%(a)s", "-"},
        {"%(T)s", "3"},
        {"%(M)s", "3004"},
        {"%(D)s", "3004567"},
        {"%(L)s", "3.004567"},
        {"%(p)s", "<4711>"},
        {"%({X-One}i)s", "2"},
        {"%({x-none}i)s", "-"},
        {"%({cookie}i)s", "b"},
        {"%({X-Two}o)s", "second"},
        {"%({content-type}o)s", "text/html"},
        {"%({content}o)s", "-"},
        {"%({REQUEST_METHOD}e)s", "POST"},
        {"%({path_info}e)s", "/caf\\xC3\\xA9"},
        {"%({QUERY_STRING}e)s", "a=%20"},
        {"%({SERVER_PROTOCOL}e)s", "HTTP/1.1"},
        {"%({REMOTE_ADDR}e)s", "192.0.2.7"},
        {"%({RAW_URI}e)s", "/caf%C3%A9?a=%20"},
        {"%({HTTP_X_ONE}e)s", "1,2"},
        {"%({HTTP_COOKIE}e)s", "a,b"},
        {"%({HTTP_CONTENT_LENGTH}e)s", "-"},
        {"%(request_id)s", "a1/b=2"},
        {"%(trace_id)s", "-"},
        {"%(balancer_us)s", "1500"},
        {"%(read_us)s", "-"},
        {"%(queue_us)s", "0"},
        {"%(app_us)s", "2000001"},
        {"%(request_ids)s", "-"},
        {"%(z)s", "-"},
        {"%(unknown)s", "-"},
        {"%({x}z)s", "-"},
        {"%()s", "-"},
        {"100%% of %(D)d", "100% of 3004567"},
        {"", ""},
        {"plain", "plain"},
    };
    for (const auto& [format, text] : expected) EXPECT_EQ(line_of(format, record), text) << format;
}

TEST(AccessFormat, WidthAndPrecisionAsPython) {
    const Request request("GET", "/");
    const AccessRecord record = request.record();
    EXPECT_EQ(line_of("[%(m)6s]", record), "[   GET]");
    EXPECT_EQ(line_of("[%(m)-6s]", record), "[GET   ]");
    EXPECT_EQ(line_of("[%(m).2s]", record), "[GE]");
    EXPECT_EQ(line_of("[%(D)010d]", record), "[0003004567]");
    EXPECT_EQ(line_of("[%(D)010s]", record), "[   3004567]");
}

TEST(AccessFormat, WhatPythonRefusesIsASentence) {
    const char* faults[] = {"%", "a %(h", "%(h)", "%h", "%(h)d", "%(h)x", "%(h)", "%(queue_us)d"};
    for (const char* text : faults) {
        const base::Result<AccessFormat> compiled = AccessFormat::compile(text);
        ASSERT_FALSE(compiled.ok()) << text;
        EXPECT_EQ(compiled.sentence().compare(0, 17, "access_log_format"), 0);
    }
}

TEST(AccessFormat, ApachesAtomsAreTranslated) {
    const std::pair<const char*, const char*> cases[] = {
        {"%h", "write \"%(h)s\" for \"%h\""},
        {"a %>s", "write \"%(s)s\" for \"%>s\""},
        {"%{Referer}i", "write \"%({Referer}i)s\" for \"%{Referer}i\""},
    };
    for (const auto& [format, hint] : cases) {
        EXPECT_NE(AccessFormat::compile(format).sentence().find(hint), std::string::npos);
    }
    for (const char* format : {"%X", "%{a}", "%{a}x", "%>", "%{", "% d"}) {
        const std::string sentence = AccessFormat::compile(format).sentence();
        EXPECT_EQ(sentence.find("write \"%"), std::string::npos) << sentence;
    }
}

TEST(AccessFormat, KnowsWhichEnvironKeysOnlyPythonHas) {
    const std::pair<const char*, bool> cases[] = {
        {"%({REMOTE_USER}e)s", true},  {"%({wsgi.url_scheme}e)s", true},
        {"%({HTTP_HOST}e)s", false},   {"%({CONTENT_TYPE}e)s", false},
        {"%({REMOTE_USER}i)s", false}, {"json", false},
    };
    for (const auto& [format, needed] : cases) {
        EXPECT_EQ(AccessFormat::compile(format).value().needs_environ(), needed) << format;
    }
}

TEST(AccessFormat, ClientsCannotForgeLines) {
    Request request("GET", "/%0A127.0.0.1%20-%20-%22\\");
    request.field("User-Agent", "x\" 200 0 \"-\" \"\x1b[31m").field("Referer", "caf\xe9\\");
    EXPECT_EQ(
        line_of("%(U)s \"%(f)s\" \"%(a)s\"", request.record()),
        "/\\x0A127.0.0.1 - -\\\"\\\\ \"caf\\xE9\\\\\" \"x\\\" 200 0 \\\"-\\\" \\\"\\x1B[31m\"");
}

TEST(AccessFormat, RefusedBeforeTheHeadWasRead) {
    AccessRecord record;
    record.status = 400;
    record.remote_addr = "::1";
    EXPECT_EQ(line_of("%(h)s %(u)s \"%(r)s\" %(s)s %(b)s \"%(a)s\" %({x}o)s", record),
              "::1 - \"-\" 400 0 \"-\" -");
    record.status = 0;
    record.remote_addr = {};
    EXPECT_EQ(line_of("%(h)s %(s)s", record), "- -");
}

TEST(AccessFormat, LocalTimeFollowsTheSecond) {
    set_zone("XYZ+03:30");
    base::Result<AccessFormat> format = AccessFormat::compile("%(t)s");
    AccessRecord record;
    std::string out;
    record.finished_unix_us = 0;
    format.value().format(record, out);
    record.finished_unix_us = 999'999;
    format.value().format(record, out);
    record.finished_unix_us = 1'000'000;
    format.value().format(record, out);
    EXPECT_EQ(out,
              "[31/Dec/1969:20:30:00 -0330]\n[31/Dec/1969:20:30:00 -0330]\n"
              "[31/Dec/1969:20:30:01 -0330]\n");
    set_zone("UTC");
}

TEST(AccessFormat, Json) {
    Request request("GET", "/a\"b?c");
    request.field("User-Agent", "\xe2\x82\xac\x01\xff").field("Host", "example.org");
    EXPECT_EQ(line_of("json", request.record()),
              "{\"time\":\"2026-11-23T07:48:00.250Z\",\"remote_addr\":\"192.0.2.7\",\"user\":null,"
              "\"method\":\"GET\",\"target\":\"/a\\\"b?c\",\"protocol\":\"HTTP/1.1\","
              "\"host\":\"example.org\",\"status\":200,\"bytes\":1234,\"duration_us\":3004567,"
              "\"referer\":null,\"user_agent\":\"\xe2\x82\xac\\u0001\\u00FF\",\"pid\":4711,"
              "\"request_id\":\"a1/b=2\",\"trace_id\":null,\"balancer_us\":1500,"
              "\"read_us\":null,\"queue_us\":0,\"app_us\":2000001}");
    AccessRecord headless;
    EXPECT_EQ(line_of("json", headless),
              "{\"time\":\"1970-01-01T00:00:00.000Z\",\"remote_addr\":null,\"user\":null,"
              "\"method\":null,\"target\":null,\"protocol\":null,\"host\":null,\"status\":null,"
              "\"bytes\":0,\"duration_us\":0,\"referer\":null,\"user_agent\":null,\"pid\":0,"
              "\"request_id\":null,"
              "\"trace_id\":null,\"balancer_us\":null,\"read_us\":null,\"queue_us\":null,"
              "\"app_us\":null}");
}

TEST(AccessFormat, Logfmt) {
    Request request("GET", "/a?b=c");
    request.field("User-Agent", "two words\n");
    EXPECT_EQ(line_of("logfmt", request.record()),
              "time=2026-11-23T07:48:00.250Z remote_addr=192.0.2.7 user=- method=GET "
              "target=\"/a?b=c\" protocol=HTTP/1.1 host=- status=200 bytes=1234 "
              "duration_us=3004567 referer=- user_agent=\"two words\\x0A\" pid=4711 "
              "request_id=\"a1/b=2\" trace_id=- balancer_us=1500 read_us=- queue_us=0 "
              "app_us=2000001");
}

}  // namespace
}  // namespace mono::log
