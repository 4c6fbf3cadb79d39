#include "uwsgi/request.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "http1/framing.hpp"
#include "http1/head_parser.hpp"
#include "uwsgi/support_test.hpp"

namespace mono::uwsgi {
namespace {

using http::Error;
using http::Scheme;

Request request_of(const std::string& bytes, bool trusted = true) {
    Request request;
    const Step step = read(bytes, {65536, trusted}, request);
    EXPECT_EQ(step.status, Status::kDone) << describe(step.fault.error).rule;
    EXPECT_EQ(step.consumed, bytes.size());
    return request;
}

Request request_of(Pairs pairs, bool trusted = true) { return request_of(packet(pairs), trusted); }

std::string head_of(Pairs pairs, bool trusted = true) { return request_of(pairs, trusted).head; }

Fault fault_of(Pairs pairs) {
    Request request;
    const Step step = read(packet(pairs), {65536, true}, request);
    EXPECT_EQ(step.status == Status::kMalformed, step.fault.error != Error::kNone);
    return step.fault;
}

std::string variables_of(const Request& request) {
    std::string text;
    const Fault fault = for_each_variable(request.variables, [&text](const Variable& one) -> Fault {
        text.append(one.name).append("=").append(one.value).append(";");
        return {};
    });
    EXPECT_EQ(fault.error, Error::kNone);
    return text;
}

// What nginx 1.22 sends with Debian's uwsgi_params for a chunked POST.
TEST(UwsgiRead, ARequestOfNginx) {
    const Request request = request_of({{"QUERY_STRING", "x=1"},
                                        {"REQUEST_METHOD", "POST"},
                                        {"CONTENT_TYPE", "text/plain"},
                                        {"CONTENT_LENGTH", "5"},
                                        {"REQUEST_URI", "/a%20b?x=1"},
                                        {"PATH_INFO", "/a b"},
                                        {"DOCUMENT_ROOT", "/usr/share/nginx/html"},
                                        {"SERVER_PROTOCOL", "HTTP/2.0"},
                                        {"REQUEST_SCHEME", "https"},
                                        {"HTTPS", "on"},
                                        {"REMOTE_ADDR", "192.0.2.7"},
                                        {"REMOTE_PORT", "4711"},
                                        {"SERVER_PORT", "443"},
                                        {"SERVER_NAME", ""},
                                        {"HTTP_HOST", "a.example"},
                                        {"HTTP_TRANSFER_ENCODING", "chunked"},
                                        {"HTTP_EXPECT", "100-continue"},
                                        {"HTTP_CONTENT_TYPE", "text/plain"},
                                        {"HTTP_X_A", "1"},
                                        {"HTTP_X_A", "2"}});
    EXPECT_EQ(request.head,
              "POST /a%20b?x=1 HTTP/1.1\r\nHOST: a.example\r\nX-A: 1\r\nX-A: 2\r\n"
              "Content-Type: text/plain\r\nContent-Length: 5\r\n\r\n");
    EXPECT_EQ(request.scheme, Scheme::kHttps);
    EXPECT_EQ(request.remote_addr, "192.0.2.7");
    EXPECT_EQ(request.remote_port, 4711);
    EXPECT_EQ(variables_of(request),
              "REQUEST_URI=/a%20b?x=1;DOCUMENT_ROOT=/usr/share/nginx/html;REQUEST_SCHEME=https;"
              "HTTPS=on;SERVER_PORT=443;");
}

TEST(UwsgiRead, AnEmptyPacketIsGetOfTheRoot) { EXPECT_EQ(head_of({}), "GET / HTTP/1.1\r\n\r\n"); }

TEST(UwsgiRead, EverySplitAndNothingBehind) {
    const std::string bytes = packet({{"REQUEST_METHOD", "PUT"}, {"PATH_INFO", "/a"}});
    for (size_t size = 0; size < bytes.size(); ++size) {
        Request request;
        const std::vector<char> part(bytes.begin(), bytes.begin() + size);
        EXPECT_EQ(read({part.data(), part.size()}, {}, request).status, Status::kNeedMore);
    }
    Request request;
    EXPECT_EQ(read(bytes + "more", {}, request).consumed, bytes.size());
}

TEST(UwsgiRead, AReusedRequestRemembersNothing) {
    Request request;
    const std::string first = packet({{"PATH_INFO", "/app/x"},
                                      {"SCRIPT_NAME", "/app"},
                                      {"REMOTE_ADDR", "192.0.2.7"},
                                      {"REMOTE_PORT", "1"},
                                      {"REMOTE_USER", "eve"},
                                      {"HTTPS", "on"}});
    EXPECT_EQ(read(first, {65536, true}, request).status, Status::kDone);
    EXPECT_EQ(read(packet({}), {65536, true}, request).status, Status::kDone);
    EXPECT_EQ(request.head, "GET / HTTP/1.1\r\n\r\n");
    EXPECT_TRUE(request.variables.empty() && request.remote_addr.empty() && !request.has_remote);
    EXPECT_TRUE(request.script_name.empty());
    EXPECT_EQ(request.remote_port, 0);
    EXPECT_EQ(request.scheme, Scheme::kTransport);
}

TEST(UwsgiRead, WhoIsNotTrustedSaysNothingAboutTheClient) {
    const Request request = request_of({{"PATH_INFO", "/x"},
                                        {"SCRIPT_NAME", "/app"},
                                        {"REMOTE_ADDR", "192.0.2.7"},
                                        {"REMOTE_USER", "root"},
                                        {"HTTPS", "on"}},
                                       false);
    EXPECT_EQ(request.head, "GET /x HTTP/1.1\r\n\r\n");
    EXPECT_TRUE(request.variables.empty() && request.remote_addr.empty() && !request.has_remote);
    EXPECT_TRUE(request.script_name.empty());
    EXPECT_EQ(request.scheme, Scheme::kHttps);  // as gunicorn
}

TEST(UwsgiRead, TheScriptNameIsAPieceOfTheHead) {
    const Request request =
        request_of({{"REQUEST_URI", "/app/x"}, {"PATH_INFO", "/app/x"}, {"SCRIPT_NAME", "/app"}});
    EXPECT_EQ(request.head, "GET /app/x HTTP/1.1\r\n\r\n");
    EXPECT_EQ(request.script_name.in(request.head.data()), "/app");
}

TEST(UwsgiRead, NothingThatIsInjectedBecomesALine) {
    const std::string_view nul("a\0b", 3);
    struct Case {
        Pairs pairs;
        Error error;
    };
    const Case cases[] = {
        {{{"HTTP_A", "x\r\nB: y"}}, Error::kFieldValueInvalid},
        {{{"HTTP_A", "x\ny"}}, Error::kFieldValueInvalid},
        {{{"HTTP_A", "x\r"}}, Error::kFieldValueInvalid},
        {{{"HTTP_A", nul}}, Error::kFieldValueInvalid},
        {{{"HTTP_A\r\nB", "x"}}, Error::kFieldNameInvalid},
        {{{"HTTP_A: B", "x"}}, Error::kFieldNameInvalid},
        {{{"HTTP_A B", "x"}}, Error::kFieldNameInvalid},
        {{{"HTTP_", "x"}}, Error::kFieldNameInvalid},
        {{{"CONTENT_TYPE", "a\r\nB: c"}}, Error::kFieldValueInvalid},
        {{{"CONTENT_LENGTH", "5\r\nB: c"}}, Error::kFieldValueInvalid},
        {{{"HTTP_CONTENT_LENGTH", "5\n"}}, Error::kFieldValueInvalid},
        {{{"REQUEST_METHOD", "GET / HTTP/1.1\r\nA: b\r\n\r\nGET"}}, Error::kMethodInvalid},
        {{{"REQUEST_METHOD", "A B"}}, Error::kMethodInvalid},
        {{{"PATH_INFO", "x"}}, Error::kTargetInvalid},
    };
    for (const Case& one : cases) {
        const Fault fault = fault_of(one.pairs);
        EXPECT_EQ(fault.error, one.error) << describe(one.error).rule;
        EXPECT_EQ(fault.offset, 4u);
    }
    EXPECT_EQ(head_of({{"PATH_INFO", "/ HTTP/1.1\r\nA: b"}}),
              "GET /%20HTTP/1.1%0D%0AA:%20b HTTP/1.1\r\n\r\n");
}

TEST(UwsgiRead, WhatBreaksLinesIsNoVariable) {
    const Request request = request_of({{"REMOTE_USER", "a\r\nb"},
                                        {"SCRIPT_FILENAME", "/a\nb"},
                                        {"A", std::string_view("\0", 1)},
                                        {"wsgi.input", "x"},
                                        {"wsgi.url_scheme", "https"},
                                        {"", "x"},
                                        {"A B", "x"},
                                        {"SERVER_SOFTWARE", "Apache"},
                                        {"RAW_URI", "/"},
                                        {"SSL_CLIENT_VERIFY", "SUCCESS"},
                                        {"EMPTY", ""}});
    EXPECT_EQ(variables_of(request), "SSL_CLIENT_VERIFY=SUCCESS;EMPTY=;");
    EXPECT_EQ(request.scheme, Scheme::kHttps);
}

TEST(UwsgiRead, TheBodysLength) {
    const std::string five = "GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\n";
    EXPECT_EQ(head_of({{"CONTENT_LENGTH", "5"}}), five);
    EXPECT_EQ(head_of({{"HTTP_CONTENT_LENGTH", "5"}}), five);
    EXPECT_EQ(head_of({{"HTTP_CONTENT_LENGTH", "5"}, {"CONTENT_LENGTH", "5"}}), five);
    EXPECT_EQ(head_of({{"CONTENT_LENGTH", "5"}, {"HTTP_TRANSFER_ENCODING", "chunked"}}), five);
    EXPECT_EQ(head_of({{"CONTENT_LENGTH", ""}}), "GET / HTTP/1.1\r\n\r\n");
    EXPECT_EQ(fault_of({{"HTTP_CONTENT_LENGTH", "5"}, {"CONTENT_LENGTH", "6"}}).error,
              Error::kContentLengthRepeated);
    EXPECT_EQ(fault_of({{"HTTP_CONTENT-LENGTH", "5"}, {"CONTENT_LENGTH", "6"}}).error,
              Error::kContentLengthRepeated);
    EXPECT_EQ(fault_of({{"HTTP_TRANSFER_ENCODING", "chunked"}}).error, Error::kLengthRequired);
    EXPECT_EQ(fault_of({{"HTTP_TRANSFER_ENCODING", "x"}, {"HTTP_CONTENT_LENGTH", "5"}}).error,
              Error::kLengthRequired);
}

// A subrequest of nginx (auth_request) with CONTENT_LENGTH "" has the client's fields and no body.
TEST(UwsgiRead, ABodyThatTheProxyKeepsEndsTheConnection) {
    const std::string closing = "GET / HTTP/1.1\r\nConnection: close\r\n\r\n";
    EXPECT_EQ(head_of({{"CONTENT_LENGTH", ""}, {"HTTP_CONTENT_LENGTH", "5"}}), closing);
    EXPECT_EQ(head_of({{"CONTENT_LENGTH", ""}, {"HTTP_TRANSFER_ENCODING", "chunked"}}), closing);
}

TEST(UwsgiRead, FieldsAsTheyAre) {
    EXPECT_EQ(head_of({{"HTTP_HOST", ""}, {"HTTP_EMPTY", ""}, {"HTTP_CONNECTION", "close"}}),
              "GET / HTTP/1.1\r\nEMPTY: \r\nCONNECTION: close\r\n\r\n");
    EXPECT_EQ(head_of({{"CONTENT_TYPE", ""}, {"HTTP_CONTENT_TYPE", "a/b"}}),
              "GET / HTTP/1.1\r\n\r\n");
    EXPECT_EQ(head_of({{"HTTP_CONTENT_TYPE", "a/b"}}),
              "GET / HTTP/1.1\r\nContent-Type: a/b\r\n\r\n");
    // No field of a client's can be one that forwarder_headers permits: they have "_".
    EXPECT_EQ(head_of({{"HTTP_SCRIPT_NAME", "/x"}}), "GET / HTTP/1.1\r\nSCRIPT-NAME: /x\r\n\r\n");
}

TEST(UwsgiRead, Schemes) {
    const auto scheme = [](Pairs pairs) { return request_of(pairs).scheme; };
    EXPECT_EQ(scheme({}), Scheme::kTransport);
    for (const char* yes : {"on", "1", "true", "ON"})
        EXPECT_EQ(scheme({{"HTTPS", yes}}), Scheme::kHttps);
    for (const char* no : {"off", "0", "false", "what"})
        EXPECT_EQ(scheme({{"HTTPS", no}, {"REQUEST_SCHEME", "https"}}), Scheme::kHttp);
    EXPECT_EQ(scheme({{"HTTPS", "on"}, {"REQUEST_SCHEME", "http"}}), Scheme::kHttps);
    EXPECT_EQ(scheme({{"HTTPS", ""}, {"REQUEST_SCHEME", "https"}}), Scheme::kHttps);
    EXPECT_EQ(scheme({{"wsgi.url_scheme", "https"}, {"REQUEST_SCHEME", "http"}}), Scheme::kHttps);
    EXPECT_EQ(scheme({{"REQUEST_SCHEME", "gopher"}}), Scheme::kTransport);
}

TEST(UwsgiRead, TheClientsAddress) {
    Request request = request_of({{"REMOTE_ADDR", "2001:db8::1"}, {"REMOTE_PORT", "70000"}});
    EXPECT_EQ(request.remote_addr, "2001:db8::1");
    EXPECT_EQ(request.remote_port, 0);
    request = request_of({{"REMOTE_ADDR", "unix:"}, {"REMOTE_PORT", "1"}});
    EXPECT_TRUE(request.has_remote);
    EXPECT_EQ(request.remote_addr, "");
    EXPECT_EQ(request.remote_port, 0);
    EXPECT_FALSE(request_of({{"REMOTE_PORT", "1"}}).has_remote);
}

// All other rules are HTTP's: the head is read by the parser that reads HTTP.
TEST(UwsgiRead, TheHeadObeysTheRulesOfHttp) {
    const auto error_of = [](Pairs pairs) {
        std::string head = head_of(pairs);
        const http1::HeadRules rules;
        http1::HeadParser parser(rules);
        http::RequestHead parsed;
        const auto size = static_cast<uint32_t>(head.size());
        if (parser.parse(head.data(), size, parsed) == http1::ParseStatus::kFailed)
            return parser.error();
        EXPECT_EQ(parsed.length, size);
        return http1::apply_framing(head.data(), parsed).error;
    };
    EXPECT_EQ(error_of({{"REQUEST_METHOD", "get"}}), Error::kMethodInvalid);
    EXPECT_EQ(error_of({{"CONTENT_LENGTH", "-1"}}), Error::kContentLengthInvalid);
    EXPECT_EQ(error_of({{"HTTP_A", "x\x01y"}}), Error::kFieldValueInvalid);
    EXPECT_EQ(error_of({{"HTTP_HOST", "a"}, {"HTTP_HOST", "b"}}), Error::kDuplicateField);
    EXPECT_EQ(error_of({{"PATH_INFO", std::string(5000, '/')}}), Error::kRequestLineTooLong);
    EXPECT_EQ(error_of({{"HTTP_A", std::string(9000, 'x')}}), Error::kFieldTooLong);
    EXPECT_EQ(error_of({{"HTTP_HOST", "a.example"}}), Error::kNone);
}

}  // namespace
}  // namespace mono::uwsgi
