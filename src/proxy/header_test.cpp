#include "proxy/header.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "proxy/support_test.hpp"

namespace mono::proxy {
namespace {

using http::Error;

constexpr std::string_view kLine = "PROXY TCP4 192.0.2.1 198.51.100.2 4711 443\r\n";

Header header_of(std::string_view bytes) {
    Header header;
    const Parsed parsed = parse(bytes, Versions::kBoth, header);
    EXPECT_EQ(parsed.status, Status::kDone) << bytes;
    EXPECT_EQ(parsed.consumed, bytes.size()) << bytes;
    return header;
}

std::string text(const Header& header) {
    return std::string(name_of(header.kind)) + " " + header.source.host + ":" +
           std::to_string(header.source.port) + " " + header.destination.host + ":" +
           std::to_string(header.destination.port);
}

// Each beginning of `bytes` is either not yet decided, or decided as the whole is.
void same_for_every_split(std::string_view bytes, Versions versions = Versions::kBoth) {
    Header header;
    const Parsed whole = parse(bytes, versions, header);
    for (size_t size = 0; size < bytes.size(); ++size) {
        // A copy of its own: AddressSanitizer sees a read beyond the end.
        const std::vector<char> part(bytes.begin(), bytes.begin() + size);
        Header other;
        const Parsed parsed = parse({part.data(), part.size()}, versions, other);
        if (parsed.status == Status::kNeedMore) continue;
        EXPECT_EQ(parsed.status, whole.status) << size;
        EXPECT_EQ(parsed.error, whole.error) << size;
        EXPECT_EQ(parsed.offset, whole.offset) << size;
        EXPECT_EQ(parsed.consumed, whole.consumed) << size;
        if (whole.status == Status::kDone) {
            EXPECT_GE(size, whole.consumed);
            EXPECT_EQ(text(other), text(header));
        }
    }
}

TEST(ProxyV1, Addresses) {
    const Header header = header_of(kLine);
    EXPECT_EQ(header.version, 1);
    EXPECT_EQ(text(header), "TCP4 192.0.2.1:4711 198.51.100.2:443");
    EXPECT_EQ(header.extras, nullptr);
    EXPECT_EQ(text(header_of("PROXY TCP6 2001:DB8:0:0::1 ::1 65535 0\r\n")),
              "TCP6 2001:db8::1:65535 ::1:0");
}

TEST(ProxyV1, WhatFollowsIsNotConsumed) {
    Header header;
    const Parsed parsed = parse(std::string(kLine) + "GET / HTTP/1.1\r\n", Versions::kV1, header);
    EXPECT_EQ(parsed.status, Status::kDone);
    EXPECT_EQ(parsed.consumed, kLine.size());
}

TEST(ProxyV1, UnknownKeepsThePeerWhateverItSays) {
    for (const char* line :
         {"PROXY UNKNOWN\r\n", "PROXY UNKNOWN \r\n", "PROXY UNKNOWN ffff::1 what 99999 \x01\r\n"}) {
        const Header header = header_of(line);
        EXPECT_EQ(header.kind, Kind::kUnknown);
        EXPECT_FALSE(replaces_peer(header.kind));
        EXPECT_EQ(header.source.host, "");
    }
}

TEST(ProxyV1, TheLongestLine) {
    const std::string address = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
    const std::string line = "PROXY UNKNOWN " + address + " " + address + " 65535 65535\r\n";
    ASSERT_EQ(line.size(), kLineBytesMax);
    EXPECT_EQ(header_of(line).kind, Kind::kUnknown);
    Header header;
    const std::string longer = "PROXY UNKNOWN  " + line.substr(14);
    EXPECT_EQ(parse(longer, Versions::kBoth, header).error, Error::kProxyLine);
    same_for_every_split(longer);
}

struct Bad {
    std::string bytes;
    Error error;
    size_t offset;
};

void expect_malformed(const std::vector<Bad>& cases) {
    for (const Bad& bad : cases) {
        Header header;
        const Parsed parsed = parse(bad.bytes, Versions::kBoth, header);
        EXPECT_EQ(parsed.status, Status::kMalformed) << bad.bytes;
        EXPECT_EQ(parsed.error, bad.error) << bad.bytes;
        EXPECT_EQ(parsed.offset, bad.offset) << bad.bytes;
        same_for_every_split(bad.bytes + "GET / HTTP/1.1\r\n\r\n");
    }
}

TEST(ProxyV1, MalformedLines) {
    const std::string endless = "PROXY TCP4 " + std::string(200, '1');
    expect_malformed({
        {"PROXY \r\n", Error::kProxyFamily, 6},
        {"PROXY TCP4\r\n", Error::kProxyFamily, 6},
        {"PROXY tcp4 192.0.2.1 192.0.2.2 1 2\r\n", Error::kProxyFamily, 6},
        {"PROXY UNKNOWNS\r\n", Error::kProxyFamily, 6},
        {"PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n", Error::kProxyFamily, 6},
        {"PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n", Error::kProxyFamily, 6},
        {"PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n", Error::kProxyLine, 32},
        {"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n", Error::kProxyAddress, 33},
        {"PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n", Error::kProxyAddress, 33},
        {"PROXY TCP4 192.0.2.1  192.0.2.2 1 2\r\n", Error::kProxyAddress, 21},
        {"PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n", Error::kProxyAddress, 11},
        {"PROXY TCP4 192.0.2 192.0.2.2 1 2\r\n", Error::kProxyAddress, 11},
        {"PROXY TCP4 ::1 192.0.2.2 1 2\r\n", Error::kProxyAddress, 11},
        {"PROXY TCP6 192.0.2.1 ::1 1 2\r\n", Error::kProxyAddress, 11},
        {"PROXY TCP6 fe80::1%eth0 ::1 1 2\r\n", Error::kProxyAddress, 11},
        {"PROXY TCP4 192.0.2.1 localhost 1 2\r\n", Error::kProxyAddress, 21},
        {std::string("PROXY TCP4 192.0.2.1\0 192.0.2.2 1 2\r\n", 37), Error::kProxyAddress, 11},
        {"PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n", Error::kProxyAddress, 31},
        {"PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n", Error::kProxyAddress, 31},
        {"PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n", Error::kProxyAddress, 31},
        {"PROXY TCP4 192.0.2.1 192.0.2.2 1 -2\r\n", Error::kProxyAddress, 33},
        {"PROXY TCP4 192.0.2.1 192.0.2.2 1 655350\r\n", Error::kProxyAddress, 33},
        {"PROXY TCP4 192.0.2.1 192.0.2.2 1 \r\n", Error::kProxyAddress, 33},
        {"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\n", Error::kProxyLine, 34},
        {"PROXY TCP4 192.0.2.1\r192.0.2.2 1 2\r\n", Error::kProxyLine, 20},
        {endless, Error::kProxyLine, kLineBytesMax},
    });
}

TEST(ProxyV2, Addresses) {
    const Header header = header_of(v2(0x21, 0x11, kBlock4));
    EXPECT_EQ(header.version, 2);
    EXPECT_EQ(text(header), "TCP4 192.0.2.1:4711 198.51.100.2:443");
    EXPECT_EQ(header.extras, nullptr);
    const std::string six = std::string("\x20\x01\x0D\xB8", 4) + std::string(11, '\0') + '\x07' +
                            std::string(15, '\0') + '\x01' + "\xFF\xFE\x01\xBB";
    EXPECT_EQ(text(header_of(v2(0x21, 0x21, six))), "TCP6 2001:db8::7:65534 ::1:443");
}

TEST(ProxyV2, UnixPaths) {
    const auto padded = [](std::string path) {
        path.resize(108);
        return path;
    };
    Header header = header_of(v2(0x21, 0x31, padded("/run/a.sock") + padded("")));
    EXPECT_EQ(header.kind, Kind::kUnix);
    EXPECT_EQ(header.source.host, "/run/a.sock");
    EXPECT_EQ(header.destination.host, "");
    // In the abstract namespace, and as long as a path can be.
    const std::string longest(108, 'x');
    header = header_of(v2(0x21, 0x31, padded(std::string("\0name", 5)) + longest));
    EXPECT_EQ(header.source.host, "@name");
    EXPECT_EQ(header.destination.host, longest);
    header = header_of(v2(0x21, 0x31, '\0' + std::string(107, 'y') + padded("b")));
    EXPECT_EQ(header.source.host, "@" + std::string(107, 'y'));
}

TEST(ProxyV2, LocalAndUnspecifiedKeepThePeer) {
    for (const int family : {0x00, 0x11, 0x21, 0x31, 0x77, 0xFF}) {
        const Header header = header_of(v2(0x20, static_cast<uint8_t>(family), "whatever it is"));
        EXPECT_EQ(header.kind, Kind::kLocal);
        EXPECT_FALSE(replaces_peer(header.kind));
        EXPECT_EQ(header.extras, nullptr);
    }
    EXPECT_EQ(header_of(v2(0x20, 0x00, "")).kind, Kind::kLocal);
    for (const int family : {0x00, 0x01, 0x02})
        EXPECT_EQ(header_of(v2(0x21, static_cast<uint8_t>(family), "\xFF\xFF\xFF")).kind,
                  Kind::kUnspecified);
}

TEST(ProxyV2, MalformedHeaders) {
    expect_malformed({
        {v2(0x11, 0x11, kBlock4), Error::kProxyVersion, 12},
        {v2(0x31, 0x11, kBlock4), Error::kProxyVersion, 12},
        {v2(0x22, 0x11, kBlock4), Error::kProxyVersion, 12},
        {v2(0x2F, 0x11, kBlock4), Error::kProxyVersion, 12},
        {v2(0x01, 0x11, kBlock4), Error::kProxyVersion, 12},
        {v2(0x21, 0x10, kBlock4), Error::kProxyFamily, 13},
        {v2(0x21, 0x12, kBlock4), Error::kProxyFamily, 13},
        {v2(0x21, 0x13, kBlock4), Error::kProxyFamily, 13},
        {v2(0x21, 0x03, kBlock4), Error::kProxyFamily, 13},
        {v2(0x21, 0x22, std::string(36, 'x')), Error::kProxyFamily, 13},
        {v2(0x21, 0x32, std::string(216, 'x')), Error::kProxyFamily, 13},
        {v2(0x21, 0x41, kBlock4), Error::kProxyFamily, 13},
        {v2(0x21, 0x11, kBlock4.substr(1)), Error::kProxyAddress, 14},
        {v2(0x21, 0x21, std::string(35, 'x')), Error::kProxyAddress, 14},
        {v2(0x21, 0x31, std::string(215, 'x')), Error::kProxyAddress, 14},
        {v2(0x21, 0x11, ""), Error::kProxyAddress, 14},
        {v2_with(std::string("\x01\x00", 2)), Error::kProxyTlv, 28},
    });
}

TEST(ProxyV2, TheLongestHeader) {
    const std::string vectors = tlv(0x04, std::string(0xFFFF - 12 - 3, 'x'));
    Header header;
    const std::string bytes = v2_with(vectors);
    ASSERT_EQ(bytes.size(), 16u + 0xFFFF);
    EXPECT_EQ(parse(bytes, Versions::kV2, header).consumed, bytes.size());
    EXPECT_EQ(
        parse(std::string_view(bytes).substr(0, bytes.size() - 1), Versions::kV2, header).status,
        Status::kNeedMore);
}

TEST(Proxy, EverySplitOfWhatIsRight) {
    same_for_every_split(std::string(kLine) + "GET");
    same_for_every_split("PROXY UNKNOWN x\r\nGET");
    same_for_every_split(v2(0x21, 0x11, kBlock4) + "GET");
    same_for_every_split(v2(0x21, 0x31, std::string(216, 'p')) + "GET");
    same_for_every_split(v2(0x20, 0x00, "") + "GET");
    same_for_every_split(v2_with(tlv(0x02, "example.org") + tlv(0x05, "id")) + "GET");
}

TEST(Proxy, WhatBeginsOtherwiseIsAbsentAtItsFirstOtherByte) {
    for (const char* bytes : {"GET / HTTP/1.1\r\n", "POST", "PROPFIND", "PROXYING", "proxy ",
                              "\r\n\r\nGET", "\r\nGET", "\x16\x03\x01", "PRI * HTTP/2.0"}) {
        Header header;
        EXPECT_EQ(parse(bytes, Versions::kBoth, header).status, Status::kAbsent) << bytes;
        EXPECT_EQ(recognise(bytes, Versions::kBoth), Status::kAbsent) << bytes;
        same_for_every_split(bytes);
    }
    Header header;
    EXPECT_EQ(parse("PR", Versions::kBoth, header).status, Status::kNeedMore);
    EXPECT_EQ(parse("PRI", Versions::kBoth, header).status, Status::kAbsent);
    EXPECT_EQ(parse("", Versions::kBoth, header).status, Status::kNeedMore);
}

TEST(Proxy, TheOtherVersionIsNotLookedFor) {
    Header header;
    const std::string second = v2(0x21, 0x11, kBlock4);
    EXPECT_EQ(parse(second, Versions::kV1, header).status, Status::kAbsent);
    EXPECT_EQ(parse(second, Versions::kV2, header).status, Status::kDone);
    EXPECT_EQ(parse(kLine, Versions::kV2, header).status, Status::kAbsent);
    EXPECT_EQ(parse(kLine, Versions::kV1, header).status, Status::kDone);
    same_for_every_split(second, Versions::kV1);
    same_for_every_split(kLine, Versions::kV2);
}

TEST(Proxy, AHeaderIsKnownByItsFirstBytes) {
    for (const std::string& bytes : {std::string(kLine), v2(0x21, 0x11, kBlock4)}) {
        const size_t enough = bytes[0] == 'P' ? 6 : 12;
        for (size_t size = 0; size <= bytes.size(); ++size) {
            const Status seen = recognise(std::string_view(bytes).substr(0, size), Versions::kBoth);
            EXPECT_EQ(seen, size < enough ? Status::kNeedMore : Status::kDone) << size;
        }
    }
    EXPECT_EQ(recognise("PROXY ", Versions::kV2), Status::kAbsent);
    EXPECT_EQ(recognise(kSignature, Versions::kV1), Status::kAbsent);
}

TEST(Proxy, AnEarlierHeaderLeavesNothingBehind) {
    Header header;
    EXPECT_EQ(parse(v2_with(tlv(0x02, "a.example")), Versions::kBoth, header).status,
              Status::kDone);
    EXPECT_NE(header.extras, nullptr);
    EXPECT_EQ(parse("PROXY UNKNOWN\r\n", Versions::kBoth, header).status, Status::kDone);
    EXPECT_EQ(header.extras, nullptr);
    EXPECT_EQ(header.source.host, "");
}

}  // namespace
}  // namespace mono::proxy
