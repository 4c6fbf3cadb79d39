// What a proxy may say is covered by tests/vectors/h1/trust.md and h1_invalid/trust.md.
#include "http/trust.hpp"

#include <gtest/gtest.h>

#include "http1/head_parser.hpp"

namespace mono::http {
namespace {

NetworkSet set_of(const std::vector<std::string>& items) {
    base::Result<NetworkSet> set = NetworkSet::parse(items);
    EXPECT_TRUE(set.ok());
    return set.ok() ? set.value() : NetworkSet();
}

TEST(NetworkSet, Addresses) {
    const NetworkSet set = set_of({"127.0.0.1", "::1"});
    EXPECT_TRUE(set.contains("127.0.0.1"));
    EXPECT_TRUE(set.contains("::1"));
    EXPECT_TRUE(set.contains("0:0:0:0:0:0:0:1"));
    EXPECT_TRUE(set.contains("::ffff:127.0.0.1"));  // the same peer on an IPv6 socket
    EXPECT_TRUE(set.contains(""));                  // a unix socket
    EXPECT_FALSE(set.contains("127.0.0.2"));
    EXPECT_FALSE(set.contains("::2"));
    EXPECT_FALSE(set.contains("::127.0.0.1"));
    EXPECT_FALSE(set.contains("localhost"));
    EXPECT_FALSE(set.contains("127.0.0.1 "));
    EXPECT_FALSE(set.contains("127.1"));
}

TEST(NetworkSet, NetworksEndWhereTheyEnd) {
    const NetworkSet set =
        set_of({"10.0.0.0/8", "192.168.4.0/22", "2001:db8::/33", "192.0.2.7/32"});
    EXPECT_TRUE(set.contains("10.255.255.255"));
    EXPECT_FALSE(set.contains("11.0.0.0"));
    EXPECT_FALSE(set.contains("9.255.255.255"));
    EXPECT_TRUE(set.contains("192.168.7.255"));
    EXPECT_FALSE(set.contains("192.168.8.0"));
    EXPECT_FALSE(set.contains("192.168.3.255"));
    EXPECT_TRUE(set.contains("2001:db8:7fff::1"));
    EXPECT_FALSE(set.contains("2001:db8:8000::1"));
    EXPECT_TRUE(set.contains("192.0.2.7"));
    EXPECT_FALSE(set.contains("192.0.2.6"));
}

TEST(NetworkSet, EveryPrefixLengthAtItsEdges) {
    for (int bits = 1; bits <= 32; ++bits) {
        const uint32_t network = bits == 32 ? 0xAAAAAAAAU : 0xAAAAAAAAU & ~(0xFFFFFFFFU >> bits);
        const auto text = [](uint32_t address) {
            return std::to_string(address >> 24) + "." + std::to_string(address >> 16 & 255) + "." +
                   std::to_string(address >> 8 & 255) + "." + std::to_string(address & 255);
        };
        const NetworkSet set = set_of({text(network) + "/" + std::to_string(bits)});
        const uint32_t last = bits == 32 ? network : network | 0xFFFFFFFFU >> bits;
        EXPECT_TRUE(set.contains(text(network))) << bits;
        EXPECT_TRUE(set.contains(text(last))) << bits;
        EXPECT_FALSE(set.contains(text(network - 1))) << bits;
        EXPECT_FALSE(set.contains(text(last + 1))) << bits;
    }
}

TEST(NetworkSet, EveryoneAndNobody) {
    EXPECT_TRUE(set_of({"*"}).contains("203.0.113.9"));
    EXPECT_TRUE(set_of({"0.0.0.0/0"}).contains("203.0.113.9"));
    EXPECT_FALSE(set_of({"0.0.0.0/0"}).contains("2001:db8::1"));
    EXPECT_TRUE(set_of({"::/0"}).contains("2001:db8::1"));
    EXPECT_FALSE(set_of({}).contains("127.0.0.1"));
    EXPECT_TRUE(set_of({}).contains(""));
}

TEST(NetworkSet, ZonesAreIgnored) { EXPECT_TRUE(set_of({"fe80::/10"}).contains("fe80::1%eth0")); }

TEST(NetworkSet, MistakesAreSentences) {
    for (const char* item :
         {"localhost", "", "1.2.3", "1.2.3.4.5", "1.2.3.4/33", "::/129", "1.2.3.4/", "1.2.3.4/-1",
          "1.2.3.4/x", "10.0.0.1/8", "::1/64", "1.2.3.4 ", "**"}) {
        const base::Result<NetworkSet> set = NetworkSet::parse({"127.0.0.1", item});
        ASSERT_FALSE(set.ok()) << item;
        EXPECT_NE(set.sentence().find("'" + std::string(item) + "'"), std::string::npos);
    }
}

TEST(IsAddress, TextsThatAre) {
    for (const char* text : {"192.0.2.1", "::", "2001:db8::1", "::ffff:192.0.2.1"})
        EXPECT_TRUE(is_address(text)) << text;
    for (const char* text : {"", "unix:", "192.0.2", "192.0.2.1:80", "[::1]", "fe80::1%eth0", "a"})
        EXPECT_FALSE(is_address(text)) << text;
    EXPECT_FALSE(is_address(std::string_view("::1\0", 4)));
}

TEST(SameAddress, HoweverItIsWritten) {
    EXPECT_TRUE(same_address("2001:db8::1", "2001:DB8:0:0::1"));
    EXPECT_TRUE(same_address("192.0.2.1", "::ffff:192.0.2.1"));
    EXPECT_FALSE(same_address("192.0.2.1", "192.0.2.2"));
    EXPECT_FALSE(same_address("unknown", "unknown"));
}

TEST(ApplyTrust, KeepsTheOrderOfWhatStays) {
    std::string text = "GET / HTTP/1.1\r\nA: 1\r\nB_B: 2\r\nC: 3\r\nD_D: 4\r\nE: 5\r\n\r\n";
    const http1::HeadRules rules;
    http1::HeadParser parser(rules);
    RequestHead head;
    ASSERT_EQ(parser.parse(text.data(), static_cast<uint32_t>(text.size()), head),
              http1::ParseStatus::kComplete);
    const TrustVerdict verdict = apply_trust(TrustRules(), false, text.data(), head);
    EXPECT_EQ(verdict.fault.error, Error::kNone);
    EXPECT_EQ(verdict.scheme, Scheme::kTransport);
    std::string names;
    for (const Field& field : head.fields) names += field.name.in(text.data());
    EXPECT_EQ(names, "ACE");
}

}  // namespace
}  // namespace mono::http
