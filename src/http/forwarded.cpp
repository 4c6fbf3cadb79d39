#include "http/forwarded.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "http/decimal.hpp"
#include "http/names.hpp"

namespace mono::http {
namespace {

struct Hop {
    std::string_view address;  // empty: it has none that can be read
    uint16_t port = 0;
    Scheme scheme = Scheme::kTransport;
};

bool is_blank(char byte) { return byte == ' ' || byte == '\t'; }

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
    return text;
}

// 192.0.2.1, 192.0.2.1:80, 2001:db8::1, [2001:db8::1], [2001:db8::1]:80.
void read_node(std::string_view node, Hop& hop) {
    std::string_view address = node;
    std::string_view port;
    if (node.starts_with('[')) {
        const size_t bracket = node.find(']');
        if (bracket == std::string_view::npos) return;
        address = node.substr(1, bracket - 1);
        port = node.substr(bracket + 1);
        if (address.find(':') == std::string_view::npos) return;
        if (!port.empty() && port.front() != ':') return;
        port = port.substr(std::min<size_t>(1, port.size()));
    } else if (std::count(node.begin(), node.end(), ':') == 1) {
        const size_t colon = node.find(':');
        address = node.substr(0, colon);
        port = node.substr(colon + 1);
    }
    if (!is_address(address)) return;
    hop.address = address;
    uint64_t number = 0;  // "_port" is obfuscated, and none
    if (parse_decimal(port, number) && number <= 65535) hop.port = static_cast<uint16_t>(number);
}

Scheme scheme_of(std::string_view proto) {
    if (equals_ignoring_case(proto, "https")) return Scheme::kHttps;
    return equals_ignoring_case(proto, "http") ? Scheme::kHttp : Scheme::kTransport;
}

// The elements of one Forwarded field, RFC 7239 section 4. Beyond its grammar, blanks around ";"
// and nodes without quotes are read, which proxies write and which mean one thing only.
class ForwardedReader {
  public:
    ForwardedReader(std::string_view text, std::vector<Hop>& hops) : rest_(text), hops_(hops) {}

    bool read() {
        while (true) {
            if (!read_element()) return false;
            if (rest_.empty()) return true;
            rest_.remove_prefix(1);  // the comma
        }
    }

  private:
    void skip_blanks() {
        rest_ = rest_.substr(std::min(rest_.find_first_not_of(" \t"), rest_.size()));
    }
    bool at(char byte) const { return !rest_.empty() && rest_.front() == byte; }

    bool read_element() {
        Hop hop;
        bool any = false;
        seen_for_ = seen_proto_ = false;
        while (true) {
            skip_blanks();
            if (!at(';') && !at(',') && !rest_.empty()) {
                if (!read_pair(hop)) return false;
                any = true;
                skip_blanks();
            }
            if (!at(';')) break;
            rest_.remove_prefix(1);
        }
        // Empty elements are lawful in lists.
        if (any) hops_.push_back(hop);
        return rest_.empty() || at(',');
    }

    bool read_pair(Hop& hop) {
        const size_t equals = rest_.find('=');
        if (equals == std::string_view::npos || !is_token(rest_.substr(0, equals))) return false;
        const std::string_view name = rest_.substr(0, equals);
        rest_.remove_prefix(equals + 1);
        std::string_view value;
        if (!(at('"') ? read_quoted(value) : read_plain(value))) return false;
        if (equals_ignoring_case(name, "for")) {
            if (std::exchange(seen_for_, true)) return false;
            read_node(value, hop);
        } else if (equals_ignoring_case(name, "proto")) {
            if (std::exchange(seen_proto_, true)) return false;
            hop.scheme = scheme_of(value);
        }
        return true;
    }

    // Neither an address nor a scheme has anything to escape: what does is passed over.
    bool read_quoted(std::string_view& value) {
        for (size_t end = 1; end < rest_.size(); ++end) {
            if (rest_[end] == '\\') {
                ++end;
            } else if (rest_[end] == '"') {
                value = rest_.substr(1, end - 1);
                rest_.remove_prefix(end + 1);
                return true;
            }
        }
        return false;
    }

    bool read_plain(std::string_view& value) {
        const size_t end = std::min(rest_.find_first_of(",; \t\"="), rest_.size());
        value = rest_.substr(0, end);
        rest_.remove_prefix(end);
        return !value.empty();
    }

    std::string_view rest_;
    std::vector<Hop>& hops_;
    bool seen_for_ = false;
    bool seen_proto_ = false;
};

// The walk from the right.
Hop client_of(const std::vector<Hop>& hops, const NetworkSet& trusted) {
    Hop client;
    for (auto hop = hops.rbegin(); hop != hops.rend(); ++hop) {
        // Who wrote this hop is trusted, about the scheme too.
        client.scheme = hop->scheme;
        if (hop->address.empty()) break;
        client.address = hop->address;
        client.port = hop->port;
        if (!trusted.contains(hop->address)) break;
    }
    return client;
}

void read_x_forwarded_for(std::string_view value, std::vector<Hop>& hops) {
    size_t begin = 0;
    while (begin <= value.size()) {
        const size_t end = std::min(value.find(',', begin), value.size());
        Hop hop;
        read_node(trimmed(value.substr(begin, end - begin)), hop);
        hops.push_back(hop);
        begin = end + 1;
    }
}

base::Slice slice_of(const char* buffer, std::string_view text) {
    if (text.empty()) return {};
    return {static_cast<uint32_t>(text.data() - buffer), static_cast<uint32_t>(text.size())};
}

}  // namespace

ForwardedVerdict read_forwarded(const NetworkSet& trusted, ForwardedFields fields,
                                const char* buffer, const RequestHead& head) {
    ForwardedVerdict verdict;
    std::vector<Hop> said;    // by Forwarded
    std::vector<Hop> x_said;  // by X-Forwarded-For
    uint32_t offset = 0;
    for (const Field& field : head.fields) {
        if (field.known == KnownField::kForwarded && fields != ForwardedFields::kXForwarded) {
            offset = field.name.offset;
            if (!ForwardedReader(field.value.in(buffer), said).read()) {
                verdict.fault = {Error::kForwardedMalformed, offset};
                return verdict;
            }
        }
        if (field.known == KnownField::kXForwardedFor && fields != ForwardedFields::kForwarded)
            read_x_forwarded_for(field.value.in(buffer), x_said);
    }
    const Hop client = client_of(said, trusted);
    const Hop x_client = client_of(x_said, trusted);
    const bool both = !client.address.empty() && !x_client.address.empty();
    if (both && !same_address(client.address, x_client.address)) {
        verdict.fault = {Error::kForwardedConflict, offset};
        return verdict;
    }
    const Hop& named = client.address.empty() ? x_client : client;
    verdict.client = slice_of(buffer, named.address);
    verdict.port = named.port != 0 || !both ? named.port : x_client.port;
    verdict.scheme = client.scheme;
    return verdict;
}

}  // namespace mono::http
