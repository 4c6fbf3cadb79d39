// Whom we believe: forwarded_allow_ips, and what a trusted proxy may say about the scheme.
// docs/compat.md. Built once from settings; immutable.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "http/error.hpp"
#include "http/message.hpp"

namespace mono::http {

struct Network {
    std::array<uint8_t, 16> address{};  // IPv4 as IPv4-mapped IPv6
    uint8_t prefix_bits = 128;
};

// A textual IPv4 or IPv6 address, without a zone.
bool is_address(std::string_view text);
// Both are addresses, and the same one; ::ffff:192.0.2.1 is 192.0.2.1.
bool same_address(std::string_view left, std::string_view right);

class NetworkSet {
  public:
    // Addresses, CIDR networks without host bits, or "*".
    static base::Result<NetworkSet> parse(const std::vector<std::string>& items);
    // `address` is a textual IPv4 or IPv6 address; empty (a unix socket) is always a member.
    bool contains(std::string_view address) const;

  private:
    std::vector<Network> networks_;
    bool everyone_ = false;
};

// What becomes of fields whose names have "_".
enum class HeaderMap : uint8_t { kDrop, kRefuse, kDangerous };

struct TrustRules {
    NetworkSet forwarded_allow_ips;
    // Upper-case name with "-" -> exact value that means https.
    std::vector<std::pair<std::string, std::string>> secure_scheme_headers;
    std::vector<std::string> forwarder_headers;  // upper-case; "*" = all
    HeaderMap header_map = HeaderMap::kDrop;
};

enum class Scheme : uint8_t { kTransport, kHttp, kHttps };

struct TrustVerdict {
    FramingError fault;
    Scheme scheme = Scheme::kTransport;
    base::Slice script_name;  // value of a permitted SCRIPT_NAME field
};

// Removes or refuses fields with "_" by header_map, and reads the scheme headers of trusted peers.
TrustVerdict apply_trust(const TrustRules& rules, bool peer_trusted, const char* buffer,
                         RequestHead& head);

}  // namespace mono::http
