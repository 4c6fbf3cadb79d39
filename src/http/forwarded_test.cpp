#include "http/forwarded.hpp"

#include <gtest/gtest.h>

#include "http1/head_parser.hpp"

namespace mono::http {
namespace {

constexpr std::string_view kScheme[] = {"", " http", " https"};

// "client:port scheme", or the rule that is broken. 10.0.0.0/8 and fd00::/8 are trusted.
std::string read(const std::string& lines, ForwardedFields fields = ForwardedFields::kBoth,
                 std::vector<std::string> trusted = {"10.0.0.0/8", "fd00::/8"}) {
    std::string text = "GET / HTTP/1.1\r\n" + lines + "\r\n";
    const http1::HeadRules rules;
    http1::HeadParser parser(rules);
    RequestHead head;
    EXPECT_EQ(parser.parse(text.data(), static_cast<uint32_t>(text.size()), head),
              http1::ParseStatus::kComplete);
    const NetworkSet set = NetworkSet::parse(trusted).value();
    const ForwardedVerdict verdict = read_forwarded(set, fields, text.data(), head);
    if (verdict.fault.error != Error::kNone) {
        EXPECT_GE(verdict.fault.offset, 16u);
        return std::string(describe(verdict.fault.error).rule);
    }
    return std::string(verdict.client.in(text.data())) + ":" + std::to_string(verdict.port) +
           std::string(kScheme[static_cast<size_t>(verdict.scheme)]);
}

std::string x(const std::string& value) { return read("X-Forwarded-For: " + value + "\r\n"); }
std::string rfc(const std::string& value) { return read("Forwarded: " + value + "\r\n"); }

TEST(Forwarded, TheFirstFromTheRightThatIsNotTrusted) {
    EXPECT_EQ(x("192.0.2.1"), "192.0.2.1:0");
    EXPECT_EQ(x("198.51.100.9, 192.0.2.1"), "192.0.2.1:0");
    EXPECT_EQ(x("198.51.100.9, 192.0.2.1, 10.0.0.2,fd00::7"), "192.0.2.1:0");
    EXPECT_EQ(x("10.0.0.3, 10.0.0.2"), "10.0.0.3:0");
    EXPECT_EQ(rfc("for=198.51.100.9, for=192.0.2.1;proto=https, for=10.0.0.2;proto=http"),
              "192.0.2.1:0 https");
    EXPECT_EQ(read("", ForwardedFields::kBoth), ":0");
    EXPECT_EQ(read("X-Forwarded-For: 192.0.2.1, 10.9.9.9\r\n", ForwardedFields::kBoth, {"*"}),
              "192.0.2.1:0");
}

TEST(Forwarded, LinesAreOneList) {
    EXPECT_EQ(read("X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 10.0.0.2\r\n"), "192.0.2.1:0");
    EXPECT_EQ(read("Forwarded: for=192.0.2.1\r\nForwarded: for=10.0.0.2\r\n"), "192.0.2.1:0");
}

TEST(Forwarded, Nodes) {
    EXPECT_EQ(x("192.0.2.1:4711"), "192.0.2.1:4711");
    EXPECT_EQ(x("2001:db8::1"), "2001:db8::1:0");
    EXPECT_EQ(x("[2001:db8::1]:4711"), "2001:db8::1:4711");
    EXPECT_EQ(rfc("For=\"[2001:db8::1]:4711\""), "2001:db8::1:4711");
    EXPECT_EQ(rfc("for=\"192.0.2.1:_port\""), "192.0.2.1:0");
    EXPECT_EQ(rfc("for=192.0.2.1:80"), "192.0.2.1:80");
    EXPECT_EQ(rfc("for=[2001:db8::1]"), "2001:db8::1:0");
}

TEST(Forwarded, AHopWithoutAnAddressEndsTheWalk) {
    EXPECT_EQ(x("unknown"), ":0");
    EXPECT_EQ(x(""), ":0");
    EXPECT_EQ(x("192.0.2.1, unknown, 10.0.0.2"), "10.0.0.2:0");
    EXPECT_EQ(x("192.0.2.1, [192.0.2.1]"), ":0");
    EXPECT_EQ(x("192.0.2.1, [2001:db8::1"), ":0");
    EXPECT_EQ(x("192.0.2.1, [2001:db8::1]x"), ":0");
    EXPECT_EQ(rfc("for=192.0.2.1, for=_hidden;proto=https"), ":0 https");
    EXPECT_EQ(rfc("for=192.0.2.1, proto=https;by=10.0.0.1"), ":0 https");
    EXPECT_EQ(rfc("for=\"192.0.2.\\1\""), ":0");
}

TEST(Forwarded, GrammarOfTheElements) {
    EXPECT_EQ(rfc("for=192.0.2.1; proto=HTTPS ;host=\"a;b,c\";by=_x"), "192.0.2.1:0 https");
    EXPECT_EQ(rfc(";;for=192.0.2.1;, ,"), "192.0.2.1:0");
    EXPECT_EQ(rfc("host=\"\\\"\";for=192.0.2.1"), "192.0.2.1:0");
    EXPECT_EQ(rfc("for=192.0.2.1;proto=gopher"), "192.0.2.1:0");
    for (const char* value :
         {"for", "for=", "=192.0.2.1", "for=\"192.0.2.1", "for=\", for=192.0.2.1", "for =192.0.2.1",
          "for= 192.0.2.1", "for=192.0.2.1 proto=http", "for=\"192.0.2.1\"x", "for=a;for=b",
          "proto=http;Proto=https", "for=\"a\\", "192.0.2.1", "for=192.0.2.1=x"})
        EXPECT_EQ(rfc(value), "forwarded") << value;
}

TEST(Forwarded, BothHaveToAgree) {
    const std::string x_line = "X-Forwarded-For: 192.0.2.1\r\n";
    EXPECT_EQ(read(x_line + "Forwarded: for=192.0.2.1:80;proto=http\r\n"), "192.0.2.1:80 http");
    EXPECT_EQ(read("X-Forwarded-For: 192.0.2.1:80\r\nForwarded: for=192.0.2.1\r\n"),
              "192.0.2.1:80");
    EXPECT_EQ(read("X-Forwarded-For: 2001:db8:0::1\r\nForwarded: for=\"[2001:db8::1]\"\r\n"),
              "2001:db8::1:0");
    EXPECT_EQ(read(x_line + "Forwarded: for=192.0.2.2\r\n"), "forwarded-conflict");
    EXPECT_EQ(read(x_line + "Forwarded: for=unknown\r\n"), "192.0.2.1:0");
}

TEST(Forwarded, WhatIsNotLookedAtCannotConflict) {
    const std::string lines =
        "X-Forwarded-For: 192.0.2.1\r\nForwarded: for=192.0.2.2;proto=https\r\n";
    EXPECT_EQ(read(lines, ForwardedFields::kXForwarded), "192.0.2.1:0");
    EXPECT_EQ(read(lines, ForwardedFields::kForwarded), "192.0.2.2:0 https");
    EXPECT_EQ(read("Forwarded: for=\"\r\n", ForwardedFields::kXForwarded), ":0");
}

}  // namespace
}  // namespace mono::http
