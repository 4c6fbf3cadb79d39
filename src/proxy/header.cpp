#include "proxy/header.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "proxy/tlv.hpp"

namespace mono::proxy {
namespace {

using http::Error;

constexpr std::string_view kSignature1 = "PROXY ";
constexpr std::string_view kSignature2{"\r\n\r\n\0\r\nQUIT\n", 12};
constexpr std::string_view kTcp4Word = "TCP4 ";
constexpr std::string_view kTcp6Word = "TCP6 ";
constexpr std::string_view kUnknownWord = "UNKNOWN";

// Version 2: where things stand (section 2.2).
constexpr size_t kVersionAt = 12;
constexpr size_t kFamilyAt = 13;
constexpr size_t kLengthAt = 14;
constexpr size_t kBlockAt = 16;
constexpr size_t kUnixPathBytes = 108;

Parsed malformed(Error error, size_t offset) { return {Status::kMalformed, error, offset, 0}; }

Status begins_with(std::string_view bytes, std::string_view signature) {
    const size_t common = std::min(bytes.size(), signature.size());
    if (bytes.substr(0, common) != signature.substr(0, common)) return Status::kAbsent;
    return common == signature.size() ? Status::kDone : Status::kNeedMore;
}

// The address in canonical form; empty: it is none of the family.
std::string canonical(std::string_view text, int family) {
    std::array<char, INET6_ADDRSTRLEN> terminated{};
    std::array<uint8_t, 16> address{};
    if (text.size() >= terminated.size() || text.find('\0') != std::string_view::npos) return {};
    std::memcpy(terminated.data(), text.data(), text.size());
    if (inet_pton(family, terminated.data(), address.data()) != 1) return {};
    return inet_ntop(family, address.data(), terminated.data(), terminated.size());
}

// Decimal without sign or leading zeros, as the text wants it.
bool read_port(std::string_view text, uint16_t& port) {
    if (text.empty() || text.size() > 5 || (text[0] == '0' && text.size() > 1)) return false;
    uint32_t number = 0;
    for (const char byte : text) {
        if (byte < '0' || byte > '9') return false;
        number = number * 10 + static_cast<uint32_t>(byte - '0');
    }
    port = static_cast<uint16_t>(number);
    return number <= 65535;
}

// ---- Version 1

// "192.0.2.1 198.51.100.1 4711 443": four fields with one space between each.
Parsed read_addresses(std::string_view line, size_t begin, int family, Header& header) {
    std::array<std::string_view, 4> fields;
    std::array<size_t, 4> offsets{};
    size_t at = begin;
    for (size_t field = 0; field < fields.size(); ++field) {
        const bool last = field + 1 == fields.size();
        const size_t end = last ? line.size() : line.find(' ', at);
        if (end == std::string_view::npos) return malformed(Error::kProxyLine, line.size());
        fields[field] = line.substr(at, end - at);
        offsets[field] = at;
        at = end + 1;
    }
    header.source.host = canonical(fields[0], family);
    header.destination.host = canonical(fields[1], family);
    if (header.source.host.empty()) return malformed(Error::kProxyAddress, offsets[0]);
    if (header.destination.host.empty()) return malformed(Error::kProxyAddress, offsets[1]);
    if (!read_port(fields[2], header.source.port))
        return malformed(Error::kProxyAddress, offsets[2]);
    if (!read_port(fields[3], header.destination.port))
        return malformed(Error::kProxyAddress, offsets[3]);
    return {Status::kDone, Error::kNone, 0, line.size() + 2};
}

Parsed parse_v1(std::string_view bytes, Header& header) {
    const std::string_view visible = bytes.substr(0, kLineBytesMax);
    const size_t lf = visible.find('\n');
    if (lf == std::string_view::npos) {
        if (bytes.size() < kLineBytesMax) return {};
        return malformed(Error::kProxyLine, kLineBytesMax);
    }
    const size_t cr = visible.find('\r');
    if (cr + 1 != lf) return malformed(Error::kProxyLine, std::min(cr, lf));
    const std::string_view line = visible.substr(0, cr);
    const std::string_view rest = line.substr(kSignature1.size());
    header = Header{};
    header.version = 1;
    // Whatever follows the word is not looked at (section 2.1).
    if (rest == kUnknownWord ||
        (rest.starts_with(kUnknownWord) && rest[kUnknownWord.size()] == ' ')) {
        header.kind = Kind::kUnknown;
        return {Status::kDone, Error::kNone, 0, lf + 1};
    }
    const bool tcp6 = rest.starts_with(kTcp6Word);
    if (!tcp6 && !rest.starts_with(kTcp4Word))
        return malformed(Error::kProxyFamily, kSignature1.size());
    header.kind = tcp6 ? Kind::kTcp6 : Kind::kTcp4;
    return read_addresses(line, kSignature1.size() + kTcp4Word.size(), tcp6 ? AF_INET6 : AF_INET,
                          header);
}

// ---- Version 2

struct Block {
    Kind kind;
    size_t bytes;  // of the addresses
};

// High half: UNSPEC, INET, INET6, UNIX; low half: UNSPEC, STREAM, DGRAM. What comes over a stream
// and says that it is datagrams is not what it says.
bool read_family(uint8_t byte, Block& block) {
    switch (byte) {
        case 0x00:
        case 0x01:
        case 0x02:
            block = {Kind::kUnspecified, 0};
            return true;
        case 0x11:
            block = {Kind::kTcp4, 12};
            return true;
        case 0x21:
            block = {Kind::kTcp6, 36};
            return true;
        case 0x31:
            block = {Kind::kUnix, 2 * kUnixPathBytes};
            return true;
        default:
            return false;
    }
}

std::string address_text(std::string_view bytes, int family) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    return inet_ntop(family, bytes.data(), text.data(), text.size());
}

uint16_t port_at(std::string_view block, size_t at) {
    return static_cast<uint16_t>(static_cast<uint8_t>(block[at]) << 8 |
                                 static_cast<uint8_t>(block[at + 1]));
}

// A name in the abstract namespace begins with NUL; it is written with "@", as ss(8) does.
std::string path_text(std::string_view path) {
    if (path[0] != '\0') return std::string(path.substr(0, path.find('\0')));
    const std::string_view name = path.substr(1, path.find('\0', 1) - 1);
    return name.empty() ? std::string() : "@" + std::string(name);
}

void read_block(std::string_view block, Header& header) {
    Endpoint& source = header.source;
    Endpoint& destination = header.destination;
    if (header.kind == Kind::kUnix) {
        source.host = path_text(block.substr(0, kUnixPathBytes));
        destination.host = path_text(block.substr(kUnixPathBytes, kUnixPathBytes));
        return;
    }
    const int family = header.kind == Kind::kTcp4 ? AF_INET : AF_INET6;
    const size_t size = header.kind == Kind::kTcp4 ? 4 : 16;
    source.host = address_text(block.substr(0, size), family);
    destination.host = address_text(block.substr(size, size), family);
    source.port = port_at(block, 2 * size);
    destination.port = port_at(block, 2 * size + 2);
}

Parsed parse_v2(std::string_view bytes, Header& header) {
    if (bytes.size() <= kVersionAt) return {};
    const auto version = static_cast<uint8_t>(bytes[kVersionAt]);
    const bool local = version == 0x20;
    if (!local && version != 0x21) return malformed(Error::kProxyVersion, kVersionAt);
    if (bytes.size() <= kFamilyAt) return {};
    Block block{};
    // The health check of a proxy: its family is not looked at.
    if (local)
        block.kind = Kind::kLocal;
    else if (!read_family(static_cast<uint8_t>(bytes[kFamilyAt]), block))
        return malformed(Error::kProxyFamily, kFamilyAt);
    if (bytes.size() < kBlockAt) return {};
    const size_t length = port_at(bytes, kLengthAt);
    if (length < block.bytes) return malformed(Error::kProxyAddress, kLengthAt);
    const size_t whole = kBlockAt + length;
    if (bytes.size() < whole) return {};
    header = Header{};
    header.version = 2;
    header.kind = block.kind;
    // What comes with nobody's address is skipped (section 2.2).
    if (!replaces_peer(block.kind)) return {Status::kDone, Error::kNone, 0, whole};
    read_block(bytes.substr(kBlockAt, block.bytes), header);
    const TlvFault fault = read_tlvs(bytes.substr(0, whole), kBlockAt + block.bytes, header.extras);
    if (fault.error != Error::kNone) return malformed(fault.error, fault.offset);
    return {Status::kDone, Error::kNone, 0, whole};
}

struct Seen {
    Status v1 = Status::kAbsent;
    Status v2 = Status::kAbsent;
};

Seen look(std::string_view bytes, Versions versions) {
    Seen seen;
    if (versions != Versions::kV2) seen.v1 = begins_with(bytes, kSignature1);
    if (versions != Versions::kV1) seen.v2 = begins_with(bytes, kSignature2);
    return seen;
}

}  // namespace

std::string_view name_of(Kind kind) {
    switch (kind) {
        case Kind::kTcp4:
            return "TCP4";
        case Kind::kTcp6:
            return "TCP6";
        case Kind::kUnix:
            return "UNIX";
        case Kind::kLocal:
            return "LOCAL";
        case Kind::kUnknown:
            return "UNKNOWN";
        case Kind::kUnspecified:
            return "UNSPEC";
    }
    return {};
}

Status recognise(std::string_view bytes, Versions versions) {
    const Seen seen = look(bytes, versions);
    if (seen.v1 == Status::kAbsent) return seen.v2;
    return seen.v1 == Status::kDone || seen.v2 == Status::kAbsent ? seen.v1 : Status::kNeedMore;
}

Parsed parse(std::string_view bytes, Versions versions, Header& header) {
    const Seen seen = look(bytes, versions);
    if (seen.v1 == Status::kDone) return parse_v1(bytes, header);
    if (seen.v2 == Status::kDone) return parse_v2(bytes, header);
    const bool absent = seen.v1 == Status::kAbsent && seen.v2 == Status::kAbsent;
    return {absent ? Status::kAbsent : Status::kNeedMore, Error::kNone, 0, 0};
}

}  // namespace mono::proxy
