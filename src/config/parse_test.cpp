#include "config/parse.hpp"

#include <gtest/gtest.h>

namespace mono::config {
namespace {

std::string said(const base::Result<Value>& result) {
    return result ? "accepted" : result.sentence();
}

std::string shown(std::string_view address) {
    auto result = parse_bind(address, 8000);
    if (!result) return "refused";
    const BindAddress& bind = result.value();
    switch (bind.family) {
        case BindAddress::Family::kUnix:
            return "unix " + bind.host;
        case BindAddress::Family::kFd:
            return "fd " + std::to_string(bind.number);
        case BindAddress::Family::kTcp:
            break;
    }
    return bind.host + " " + std::to_string(bind.number);
}

TEST(ParseInt, ReadsPythonsBaseZeroGrammar) {
    const std::pair<const char*, int64_t> good[] = {
        {"0", 0},
        {"00", 0},
        {"7", 7},
        {" 7 ", 7},
        {"+3", 3},
        {"-1", -1},
        {"0x10", 16},
        {"0X1f", 31},
        {"0o22", 18},
        {"0b101", 5},
        {"1_000", 1000},
        {"0x_f", 15},
        {"9223372036854775807", INT64_MAX},
    };
    for (const auto& [text, value] : good) {
        auto result = parse_int(text);
        ASSERT_TRUE(result.ok()) << text;
        EXPECT_EQ(result.value(), value) << text;
    }
    for (const char* text : {"", " ", "abc", "010", "1.5", "_1", "1_", "1__0", "0x", "0b2", "- 1",
                             "--1", "9223372036854775808", "1 2"}) {
        EXPECT_FALSE(parse_int(text).ok()) << text;
    }
}

TEST(Parse, SaysWhatANumberMustBe) {
    EXPECT_EQ(said(parse(*find("workers"), "-1")), "workers must be 0 or more, not -1.");
    EXPECT_EQ(said(parse(*find("workers"), "four")), "workers must be an integer, not 'four'.");
    EXPECT_EQ(said(parse(*find("http2_max_frame_size"), "1")),
              "http2_max_frame_size must be 16384 to 16777215, not 1.");
    EXPECT_EQ(std::get<int64_t>(parse(*find("umask"), "0o22").value()), 18);
}

TEST(Parse, SizesHaveUnits) {
    const auto bytes = [](std::string_view text) {
        auto value = parse(*find("max_worker_memory"), text);
        return value ? std::get<int64_t>(value.value()) : -1;
    };
    EXPECT_EQ(bytes("0"), 0);
    EXPECT_EQ(bytes(" 4096 "), 4096);
    EXPECT_EQ(bytes("512M"), 512 << 20);
    EXPECT_EQ(bytes("3k"), 3 << 10);
    EXPECT_EQ(bytes("2G"), int64_t{2} << 30);
    for (const char* text : {"", "M", "-1", "1.5G", "1T", "512MB", "9000000000G"}) {
        EXPECT_EQ(bytes(text), -1) << text;
    }
    EXPECT_EQ(said(parse(*find("max_worker_memory"), "much")),
              "max_worker_memory must be a number of bytes such as 536870912 or 512M, not 'much'.");
}

TEST(Parse, SharesAreNumbersOrPercentages) {
    const auto share = [](std::string_view text) {
        auto value = parse(*find("max_surge"), text);
        return value ? std::get<std::string>(value.value()) : "refused";
    };
    EXPECT_EQ(share(" 25% "), "25%");
    EXPECT_EQ(share("0"), "0");
    EXPECT_EQ(share("3"), "3");
    EXPECT_EQ(share("auto"), "auto");
    EXPECT_FALSE(parse(*find("max_unavailable"), "auto"));
    for (const char* text : {"", "%", "-1", "101%", "-5%", "2.5%", "half"}) {
        EXPECT_EQ(share(text), "refused") << text;
    }
}

TEST(Parse, FlagsAndChoicesIgnoreCase) {
    EXPECT_EQ(std::get<bool>(parse(*find("reload"), " TRUE ").value()), true);
    EXPECT_EQ(said(parse(*find("reload"), "yes")), "reload must be true or false, not 'yes'.");
    EXPECT_EQ(std::get<std::string>(parse(*find("header_map"), "Refuse").value()), "refuse");
    EXPECT_EQ(said(parse(*find("header_map"), "keep")),
              "header_map must be drop, refuse or dangerous, not 'keep'.");
    EXPECT_EQ(std::get<std::string>(parse(*find("proxy_protocol"), "1").value()), "auto");
    EXPECT_EQ(std::get<std::string>(parse(*find("proxy_protocol"), "none").value()), "off");
}

TEST(Parse, ListsAndPairs) {
    EXPECT_EQ(std::get<Texts>(parse(*find("bind"), "a,b").value()), Texts{"a,b"});
    EXPECT_EQ(std::get<Texts>(parse(*find("bind"), "").value()), Texts{});
    EXPECT_EQ(std::get<Texts>(parse(*find("forwarder_headers"), "A, B,,").value()),
              (Texts{"A", "B"}));
    EXPECT_EQ(std::get<Texts>(parse(*find("http_protocols"), "H2, h1").value()),
              (Texts{"h2", "h1"}));
    EXPECT_EQ(said(parse(*find("http_protocols"), "h1,h1")), "http_protocols names h1 twice.");
    EXPECT_EQ(said(parse(*find("http_protocols"), "h3")),
              "http_protocols must be a list of h1 or h2, not 'h3'.");
    EXPECT_FALSE(parse(*find("secure_scheme_headers"), "A=b,C").ok());
}

TEST(ParseNetwork, TakesAddressesAndNetworksWithoutHostBits) {
    const std::pair<const char*, const char*> good[] = {
        {"*", "*"},
        {"10.0.0.1", "10.0.0.1/32"},
        {"10.0.0.0/8", "10.0.0.0/8"},
        {"10.0.0.0/255.0.0.0", "10.0.0.0/8"},
        {"0.0.0.0/0", "0.0.0.0/0"},
        {"::1", "::1/128"},
        {"fd00::/8", "fd00::/8"},
        {"::ffff:1.2.3.4", "::ffff:1.2.3.4/128"},
    };
    for (const auto& [text, network] : good) {
        auto result = parse_network(text);
        ASSERT_TRUE(result.ok()) << text;
        EXPECT_EQ(result.value(), network);
    }
    for (const char* text :
         {"10.0.0.1/8", "x", "", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/255.0.1.0", "fd00::1/8",
          "::1/129", "1.2.3", "010.0.0.1", "1.2.3.4/-1"}) {
        EXPECT_FALSE(parse_network(text).ok()) << text;
    }
    EXPECT_EQ(parse_network("10.0.0.1/8").sentence(),
              "The network '10.0.0.1/8' names a host: its last 24 bits must be 0.");
}

TEST(ParseBind, TakesEveryFormOfAddress) {
    EXPECT_EQ(shown("0.0.0.0:80"), "0.0.0.0 80");
    EXPECT_EQ(shown(":80"), " 80");
    EXPECT_EQ(shown("HOST"), "host 8000");
    EXPECT_EQ(shown("[::1]:80"), "::1 80");
    EXPECT_EQ(shown("[::1]"), "::1 8000");
    EXPECT_EQ(shown("tcp://h:1"), "h 1");
    EXPECT_EQ(shown("unix:/run/a"), "unix /run/a");
    EXPECT_EQ(shown("unix:///run/a"), "unix /run/a");
    EXPECT_EQ(shown("unix://a/b"), "unix a/b");
    EXPECT_EQ(shown("fd://3"), "fd 3");
    EXPECT_EQ(shown(""), "0.0.0.0 8000");
    for (const char* text : {"::1", "h:x", "h:", "h:99999", "h:-1", "[::1", "[::1]80", "fd://x",
                             "fd://-1", "unix:", "http://h:1", "1.2.3.4:80:90", "h: 5", "h:0x10"}) {
        EXPECT_EQ(shown(text), "refused") << text;
    }
}

TEST(ParseBind, AbstractUnixNamesKeepTheirZeroByte) {
    EXPECT_EQ(parse_bind(std::string_view("unix:\0name", 10), 8000).value().host,
              std::string("\0name", 5));
}

}  // namespace
}  // namespace mono::config
