#include "uwsgi/target.hpp"

#include <gtest/gtest.h>

namespace mono::uwsgi {
namespace {

// The target, with a "|" behind its script name; "" where there is none that is valid.
std::string target_of(const Place& place) {
    std::string out = "GET ";
    const Target target = append_target(place, out);
    EXPECT_EQ(out.substr(0, 4), "GET ");
    std::string text = out.substr(4);
    if (!target.valid) return {};
    if (target.script_bytes != 0) text.insert(target.script_bytes, "|");
    return text;
}

std::string target(std::string_view uri, std::string_view path, std::string_view query = "",
                   std::string_view script = "") {
    return target_of({"GET", uri, path, script, query, true});
}

TEST(Target, TheClientsOwnWhereItSaysTheSame) {
    EXPECT_EQ(target("/a/b?x=1", "/a/b", "x=1"), "/a/b?x=1");
    EXPECT_EQ(target("/%61%20b/%C3%A9", "/a b/\xC3\xA9"), "/%61%20b/%C3%A9");
    EXPECT_EQ(target("/a?", "/a"), "/a?");
    EXPECT_EQ(target("/", "/"), "/");
    EXPECT_EQ(target("/a%zz", "/a%zz"), "/a%zz");
}

TEST(Target, ThePathOfTheProxyWhereItDiffers) {
    EXPECT_EQ(target("/a/../c//d", "/c/d"), "/c/d");
    EXPECT_EQ(target("/old", "/new%41 path?", "q"), "/new%2541%20path%3F?q");
    EXPECT_EQ(target("/a?x=1", "/a", "x=2"), "/a?x=2");
    EXPECT_EQ(target("", "/a"), "/a");
    EXPECT_EQ(target("http://host/a", "/a"), "/a");
    EXPECT_EQ(target("/a b", "/a b"), "/a%20b");
    EXPECT_EQ(target("/a#b", "/a"), "/a");
}

TEST(Target, NoByteOfAPathCanBreakTheLine) {
    std::string path = "/";
    for (int byte = 0; byte < 256; ++byte) path += static_cast<char>(byte);
    const std::string text = target("", path);
    for (const char byte : text) EXPECT_TRUE(byte > 0x20 && byte < 0x7F);
    EXPECT_EQ(text.find('?'), std::string::npos);
    EXPECT_EQ(text.find('#'), std::string::npos);
    EXPECT_EQ(target("", "/", "a b\r\nX: y\xC3#"), "/?a%20b%0D%0AX:%20y%C3%23");
}

TEST(Target, WithoutAPathTheClientsOwn) {
    EXPECT_EQ(target_of({"GET", "/a%20b?q", "", "", "", false}), "/a%20b?q");
    EXPECT_EQ(target_of({"GET", "", "", "", "", false}), "/");
    EXPECT_EQ(target_of({"GET", "/a b", "", "", "", false}), "/");
    EXPECT_EQ(target_of({"GET", "/app/x", "", "/app", "", false}), "/app|/x");
    EXPECT_EQ(target_of({"GET", "/apple", "", "/app", "", false}), "/apple");
    EXPECT_EQ(target("/x", ""), "/");
}

// CGI's way, and Apache's: the path goes on where the script name ends.
TEST(Target, AScriptNameBesideThePath) {
    EXPECT_EQ(target("/app/x?q", "/x", "q", "/app"), "/app|/x?q");
    EXPECT_EQ(target("/app", "", "", "/app"), "/app|");
    EXPECT_EQ(target("/app/app/x", "/app/x", "", "/app"), "/app|/app/x");
    EXPECT_EQ(target("", "/app/x", "", "/app"), "/app|/app/x");
    EXPECT_EQ(target("/app/x", "/x", "", "/app/"), "/app|/x");
}

// nginx's, with uwsgi_param SCRIPT_NAME beside $document_uri.
TEST(Target, AScriptNameWithinThePath) {
    EXPECT_EQ(target("/app/x?q", "/app/x", "q", "/app"), "/app|/x?q");
    EXPECT_EQ(target("/app", "/app", "", "/app"), "/app|");
    EXPECT_EQ(target("/old", "/app/new", "", "/app"), "/app|/new");
    EXPECT_EQ(target("/apple", "/apple", "", "/app"), "/app|/apple");
}

TEST(Target, AScriptNameThatNeedsEncoding) {
    EXPECT_EQ(target("/caf%C3%A9/x", "/x", "", "/caf\xC3\xA9"), "/caf%C3%A9|/x");
    EXPECT_EQ(target("/%61pp/x", "/x", "", "/app"), "/app|/x");
    EXPECT_EQ(target("/app/x", "/app/x", "", "app"), "/app/x");
    EXPECT_EQ(target("/app/x", "/app/x", "", "/"), "/app/x");
}

TEST(Target, WhatIsNoPath) {
    EXPECT_EQ(target("", "a"), "");
    EXPECT_EQ(target("", "*"), "");
    EXPECT_EQ(target_of({"OPTIONS", "*", "*", "", "", true}), "*");
}

}  // namespace
}  // namespace mono::uwsgi
