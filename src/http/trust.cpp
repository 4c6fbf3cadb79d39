#include "http/trust.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "http/decimal.hpp"

namespace mono::http {
namespace {

constexpr uint8_t kMappedBits = 96;  // ::ffff:0:0/96 holds IPv4

std::optional<Network> read_address(std::string_view text) {
    std::array<char, INET6_ADDRSTRLEN> terminated{};
    if (text.size() >= terminated.size() || text.find('\0') != std::string_view::npos) return {};
    std::memcpy(terminated.data(), text.data(), text.size());
    Network network;
    if (inet_pton(AF_INET, terminated.data(), network.address.data() + 12) == 1) {
        network.address[10] = network.address[11] = 0xFF;
        return network;
    }
    network.address = {};
    if (inet_pton(AF_INET6, terminated.data(), network.address.data()) == 1) return network;
    return {};
}

// Whether the first `bits` bits agree.
bool same_prefix(const std::array<uint8_t, 16>& left, const std::array<uint8_t, 16>& right,
                 uint8_t bits) {
    const size_t whole = bits / 8U;
    if (!std::equal(left.begin(), left.begin() + whole, right.begin())) return false;
    const uint32_t rest = bits % 8U;
    return rest == 0 || ((left[whole] ^ right[whole]) >> (8 - rest)) == 0;
}

bool has_host_bits(const Network& network) {
    Network cleared = network;
    for (uint32_t bit = network.prefix_bits; bit < 128; ++bit)
        cleared.address[bit / 8] &= static_cast<uint8_t>(~(0x80U >> bit % 8));
    return cleared.address != network.address;
}

std::string quoted(std::string_view item) { return "'" + std::string(item) + "'"; }

base::Result<Network> read_network(std::string_view item) {
    const size_t slash = item.find('/');
    const std::string_view text = item.substr(0, slash);
    std::optional<Network> network = read_address(text);
    if (!network) return base::Failure{quoted(item) + " is not an IP address or network"};
    if (slash == std::string_view::npos) return *network;
    const bool ipv4 = text.find(':') == std::string_view::npos;
    uint64_t bits = 0;
    if (!parse_decimal(item.substr(slash + 1), bits) || bits > (ipv4 ? 32U : 128U))
        return base::Failure{quoted(item) + " has a prefix length that its address cannot have"};
    network->prefix_bits = static_cast<uint8_t>(ipv4 ? bits + kMappedBits : bits);
    if (has_host_bits(*network))
        return base::Failure{quoted(item) + " has host bits set: name the network itself"};
    return *network;
}

bool lists_forwarder(const TrustRules& rules, std::string_view name) {
    return std::any_of(rules.forwarder_headers.begin(), rules.forwarder_headers.end(),
                       [name](const std::string& item) {
                           return item == "*" || equals_ignoring_case(item, name);
                       });
}

// Every listed field says https (its exact value) or http; all must say the same.
Error read_scheme(const TrustRules& rules, std::string_view name, std::string_view value,
                  Scheme& scheme) {
    for (const auto& [listed, secure_value] : rules.secure_scheme_headers) {
        if (!equals_ignoring_case(listed, name)) continue;
        const Scheme said = value == secure_value ? Scheme::kHttps : Scheme::kHttp;
        if (scheme != Scheme::kTransport && scheme != said) return Error::kSchemeConflict;
        scheme = said;
    }
    return Error::kNone;
}

enum class Fate : uint8_t { kKeep, kDrop, kRefuse };

Fate decide_underscore(HeaderMap header_map) {
    switch (header_map) {
        case HeaderMap::kDrop:
            return Fate::kDrop;
        case HeaderMap::kRefuse:
            return Fate::kRefuse;
        case HeaderMap::kDangerous:
            return Fate::kKeep;
    }
    return Fate::kRefuse;
}

}  // namespace

bool is_address(std::string_view text) { return read_address(text).has_value(); }

bool same_address(std::string_view left, std::string_view right) {
    const std::optional<Network> one = read_address(left);
    const std::optional<Network> other = read_address(right);
    return one && other && one->address == other->address;
}

base::Result<NetworkSet> NetworkSet::parse(const std::vector<std::string>& items) {
    NetworkSet set;
    for (const std::string& item : items) {
        if (item == "*") {
            set.everyone_ = true;
            continue;
        }
        base::Result<Network> network = read_network(item);
        if (!network) return base::Failure{network.sentence()};
        set.networks_.push_back(network.value());
    }
    return set;
}

bool NetworkSet::contains(std::string_view address) const {
    if (everyone_ || address.empty()) return true;
    address = address.substr(0, address.find('%'));  // an IPv6 zone
    const std::optional<Network> peer = read_address(address);
    if (!peer) return false;
    return std::any_of(networks_.begin(), networks_.end(), [&peer](const Network& network) {
        return same_prefix(network.address, peer->address, network.prefix_bits);
    });
}

TrustVerdict apply_trust(const TrustRules& rules, bool peer_trusted, const char* buffer,
                         RequestHead& head) {
    TrustVerdict verdict;
    size_t kept = 0;
    for (size_t at = 0; at < head.fields.size(); ++at) {
        const Field& field = head.fields[at];
        const std::string_view name = field.name.in(buffer);
        if (peer_trusted) {
            const Error error = read_scheme(rules, name, field.value.in(buffer), verdict.scheme);
            if (error != Error::kNone) {
                verdict.fault = {error, field.name.offset};
                return verdict;
            }
        }
        Fate fate = Fate::kKeep;
        if (field.underscore && !(peer_trusted && lists_forwarder(rules, name)))
            fate = decide_underscore(rules.header_map);
        else if (field.underscore && equals_ignoring_case(name, "SCRIPT_NAME"))
            verdict.script_name = field.value;
        if (fate == Fate::kRefuse) {
            verdict.fault = {Error::kUnderscoreRefused, field.name.offset};
            return verdict;
        }
        if (fate == Fate::kDrop) continue;
        if (kept != at) head.fields[kept] = field;
        ++kept;
    }
    head.fields.resize(kept);
    return verdict;
}

}  // namespace mono::http
