#include "config/parse.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace mono::config {
namespace {

using base::Failure;
using base::Result;

constexpr std::string_view kBlanks = " \t\n\r\f\v";

std::string_view trim(std::string_view text) {
    const size_t first = text.find_first_not_of(kBlanks);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

std::string lower(std::string_view text) {
    std::string copy(text);
    for (char& c : copy) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return copy;
}

std::string quoted(std::string_view text) { return "'" + std::string(text) + "'"; }

// Calls `each` for every piece between separators, with the blanks around it taken off.
template <class Each>
void split(std::string_view text, char separator, Each each) {
    for (;;) {
        const size_t end = text.find(separator);
        each(trim(text.substr(0, end)));
        if (end == std::string_view::npos) return;
        text.remove_prefix(end + 1);
    }
}

Texts split_csv(std::string_view text) {
    Texts items;
    split(text, ',', [&](std::string_view item) {
        if (!item.empty()) items.emplace_back(item);
    });
    return items;
}

// "a|b|c" as "a, b or c".
std::string choices_as_prose(std::string_view choices) {
    std::string prose(choices);
    const size_t last = prose.rfind('|');
    if (last != std::string::npos) prose.replace(last, 1, " or ");
    for (size_t bar; (bar = prose.find('|')) != std::string::npos;) prose.replace(bar, 1, ", ");
    return prose;
}

bool is_choice(std::string_view choices, std::string_view text) {
    bool found = false;
    split(choices, '|', [&](std::string_view choice) { found = found || choice == text; });
    return found;
}

Failure refuse(const Row& row, const std::string& wanted, std::string_view text) {
    return {std::string(row.name) + " must be " + wanted + ", not " + quoted(text) + "."};
}

Result<Value> parse_flag(const Row& row, std::string_view text) {
    const std::string word = lower(text);
    if (word == "true") return Value(true);
    if (word == "false") return Value(false);
    return refuse(row, "true or false", text);
}

// Other spellings that gunicorn takes: proxy_protocol has words for on and off.
std::string canonical_choice(const Row& row, std::string word) {
    if (row.name != "proxy_protocol") return word;
    if (word == "true" || word == "1") return "auto";
    if (word == "false" || word == "0" || word == "none") return "off";
    return word;
}

Result<Value> parse_choice(const Row& row, std::string_view text) {
    std::string word = canonical_choice(row, lower(text));
    if (is_choice(row.domain, word)) return Value(std::move(word));
    return refuse(row, choices_as_prose(row.domain), text);
}

Result<Value> parse_number(const Row& row, std::string_view text) {
    auto number = parse_int(text);
    if (!number) return Failure{std::string(row.name) + " " + number.sentence()};
    std::string sentence = out_of_range(row, number.value());
    if (!sentence.empty()) return Failure{std::move(sentence)};
    return Value(number.value());
}

// Bytes, with K, M or G behind the number; -1 for what is not a size.
int64_t read_size(std::string_view text) {
    constexpr std::string_view kUnits = "KMG";
    std::string_view digits = trim(text);
    const size_t unit = digits.empty() ? kUnits.npos : kUnits.find(digits.back() & ~0x20);
    const int shift = unit == kUnits.npos ? 0 : 10 * (static_cast<int>(unit) + 1);
    if (shift > 0) digits.remove_suffix(1);
    const auto number = parse_int(digits);
    if (!number || number.value() < 0 || number.value() > INT64_MAX >> shift) return -1;
    return number.value() << shift;
}

Result<Value> parse_size(const Row& row, std::string_view text) {
    const int64_t bytes = read_size(text);
    if (bytes >= 0) return Value(bytes);
    return refuse(row, "a number of bytes such as 536870912 or 512M", text);
}

Result<Value> parse_rule(const Row& row, std::string_view text) {
    if (trim(text).empty()) return Value(Texts{});
    const auto rule = parse_buffering(text);
    if (!rule) return Failure{std::string(row.name) + " " + rule.sentence()};
    return Value(Texts{std::string(trim(text))});
}

Result<Value> parse_share(const Row& row, std::string_view text) {
    std::string_view digits = trim(text);
    const bool may_be_auto = row.fallback != nullptr && std::string_view(row.fallback) == "auto";
    if (may_be_auto && digits == "auto") return Value(std::string(digits));
    const bool percentage = digits.ends_with('%');
    if (percentage) digits.remove_suffix(1);
    const auto number = parse_int(digits);
    if (!number || number.value() < 0 || (percentage && number.value() > 100)) {
        return refuse(row,
                      may_be_auto ? "auto, a number of workers or a percentage up to 100%"
                                  : "a number of workers or a percentage up to 100%",
                      text);
    }
    return Value(std::to_string(number.value()) + (percentage ? "%" : ""));
}

Result<Value> parse_networks(const Row& row, std::string_view text) {
    Texts items = split_csv(text);
    for (const std::string& item : items) {
        auto network = parse_network(item);
        if (!network) return Failure{std::string(row.name) + ": " + network.sentence()};
    }
    return Value(std::move(items));
}

Result<Value> parse_protocols(const Row& row, std::string_view text) {
    Texts items = split_csv(lower(text));
    for (size_t i = 0; i < items.size(); ++i) {
        if (!is_choice(row.domain, items[i])) {
            return refuse(row, "a list of " + choices_as_prose(row.domain), items[i]);
        }
        if (std::find(items.begin(), items.begin() + static_cast<ptrdiff_t>(i), items[i]) !=
            items.begin() + static_cast<ptrdiff_t>(i)) {
            return Failure{std::string(row.name) + " names " + items[i] + " twice."};
        }
    }
    if (items.empty()) items.emplace_back("h1");
    return Value(std::move(items));
}

Result<Value> parse_pairs(const Row& row, std::string_view text) {
    Pairs pairs;
    for (const std::string& item : split_csv(text)) {
        const size_t equals = item.find('=');
        if (equals == std::string::npos) return refuse(row, "NAME=VALUE, joined by commas", item);
        pairs.emplace_back(trim(std::string_view(item).substr(0, equals)),
                           trim(std::string_view(item).substr(equals + 1)));
    }
    return Value(std::move(pairs));
}

int digit_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return 99;
}

// Takes a 0x, 0o or 0b off `digits` and returns the base that it means.
int take_base(std::string_view& digits) {
    if (digits.size() < 2 || digits[0] != '0') return 10;
    const char mark = static_cast<char>(digits[1] | 0x20);
    const int base = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 10;
    if (base != 10) {
        digits.remove_prefix(2);
        if (!digits.empty() && digits[0] == '_') digits.remove_prefix(1);
    }
    return base;
}

// Bits of a netmask such as 255.0.0.0, or -1 if its ones are not in one run from the left.
int mask_bits(const std::array<uint8_t, 16>& mask, int bytes) {
    int bits = 0;
    while (bits < bytes * 8 && (mask[bits / 8] >> (7 - bits % 8) & 1) != 0) ++bits;
    for (int bit = bits; bit < bytes * 8; ++bit) {
        if ((mask[bit / 8] >> (7 - bit % 8) & 1) != 0) return -1;
    }
    return bits;
}

// How many bits `text` (a number, or an IPv4 netmask) leaves fixed, or -1.
int prefix_bits(std::string_view text, int bytes) {
    int bits = -1;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, bits);
    if (error == std::errc() && stop == end) return bits <= bytes * 8 ? bits : -1;
    std::array<uint8_t, 16> mask{};
    if (bytes != 4 || inet_pton(AF_INET, std::string(text).c_str(), mask.data()) != 1) return -1;
    return mask_bits(mask, bytes);
}

Result<int64_t> parse_port(std::string_view text, std::string_view whole) {
    auto port = parse_int(text);
    const bool decimal =
        !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
    if (decimal && port && port.value() <= 65535) return port;
    return Failure{quoted(text) + " is not a port from 0 to 65535, in the address " +
                   quoted(whole) + "."};
}

Result<BindAddress> parse_host_port(std::string_view rest, std::string_view whole, int64_t port) {
    BindAddress address;
    address.number = port;
    std::string_view host = rest;
    std::string_view after;
    if (rest.starts_with('[')) {
        const size_t close = rest.find(']');
        if (close == std::string_view::npos) {
            return Failure{"The address " + quoted(whole) + " lacks its ']'."};
        }
        host = rest.substr(1, close - 1);
        after = rest.substr(close + 1);
    } else if (const size_t colon = rest.find(':'); colon != std::string_view::npos) {
        if (rest.find(':', colon + 1) != std::string_view::npos) {
            return Failure{"The address " + quoted(whole) +
                           " has several colons; an IPv6 address is written [ADDRESS]:PORT."};
        }
        host = rest.substr(0, colon);
        after = rest.substr(colon);
    }
    if (!after.empty()) {
        if (after[0] != ':') {
            return Failure{"The address " + quoted(whole) + " has something after its ']'."};
        }
        auto number = parse_port(after.substr(1), whole);
        if (!number) return Failure{number.sentence()};
        address.number = number.value();
    }
    address.host = lower(host);
    return address;
}

}  // namespace

Result<int64_t> parse_int(std::string_view text) {
    const auto fail = [&] { return Failure{"must be an integer, not " + quoted(text) + "."}; };
    std::string_view digits = trim(text);
    const bool negative = digits.starts_with('-');
    if (negative || digits.starts_with('+')) digits.remove_prefix(1);
    const int base = take_base(digits);
    if (digits.empty() || digits.front() == '_' || digits.back() == '_') return fail();
    int64_t value = 0;
    bool leading_zero = false;
    for (size_t i = 0; i < digits.size(); ++i) {
        if (digits[i] == '_' && digits[i - 1] != '_') continue;
        const int digit = digit_value(digits[i]);
        if (digit >= base) return fail();
        leading_zero = leading_zero || (i == 0 && digit == 0);
        if (value > (INT64_MAX - digit) / base) return fail();
        value = value * base + digit;
    }
    // 010 might mean 8 or 10: Python refuses it, and 00 is the only harmless case.
    if (base == 10 && leading_zero && value != 0) return fail();
    return negative ? -value : value;
}

Range range_of(const Row& row) {
    Range range;
    const size_t dots = row.domain.find("..");
    if (dots == std::string_view::npos) return range;
    range.low = parse_int(row.domain.substr(0, dots)).value();
    range.high = parse_int(row.domain.substr(dots + 2)).value();
    return range;
}

std::string out_of_range(const Row& row, int64_t value) {
    const Range range = range_of(row);
    if (value >= range.low && value <= range.high) return {};
    std::string wanted = std::to_string(range.low);
    wanted += range.high == INT64_MAX ? " or more" : " to " + std::to_string(range.high);
    return std::string(row.name) + " must be " + wanted + ", not " + std::to_string(value) + ".";
}

Result<std::string> parse_network(std::string_view text) {
    if (text == "*") return std::string(text);
    const size_t slash = text.find('/');
    const std::string address(text.substr(0, slash));
    std::array<uint8_t, 16> bytes{};
    const bool v6 = address.find(':') != std::string::npos;
    const int length = v6 ? 16 : 4;
    if (inet_pton(v6 ? AF_INET6 : AF_INET, address.c_str(), bytes.data()) != 1) {
        return Failure{quoted(text) + " is not an IP address, a network such as 10.0.0.0/8, or *."};
    }
    int bits = length * 8;
    if (slash != std::string_view::npos) bits = prefix_bits(text.substr(slash + 1), length);
    if (bits < 0) return Failure{"The network " + quoted(text) + " has no valid size after '/'."};
    for (int bit = bits; bit < length * 8; ++bit) {
        if ((bytes[bit / 8] >> (7 - bit % 8) & 1) == 0) continue;
        return Failure{"The network " + quoted(text) + " names a host: its last " +
                       std::to_string(length * 8 - bits) + " bits must be 0."};
    }
    return address + "/" + std::to_string(bits);
}

// The path may hold a '=': its rule stands behind the last one.
Result<BufferingRule> parse_buffering(std::string_view text) {
    const std::string_view item = trim(text);
    const size_t equals = item.rfind('=');
    BufferingRule rule;
    if (equals != item.npos) rule.prefix = trim(item.substr(0, equals));
    const std::string word = lower(trim(item.substr(equals == item.npos ? 0 : equals + 1)));
    const int64_t bytes = word == "off" ? 0 : read_size(word);
    // A comma is more often a list than a path.
    const bool path = rule.prefix.starts_with('/') && rule.prefix.find(',') == std::string::npos;
    if ((equals != item.npos && !path) || (word != "on" && bytes < 0))
        return Failure{
            "must be on, off or a number of bytes such as 1M, for all paths or behind a "
            "prefix as in /upload=off, not " +
            quoted(text) + "."};
    rule.stream_above = word == "on" ? kNeverStreamed : static_cast<uint64_t>(bytes);
    return rule;
}

Result<BindAddress> parse_bind(std::string_view text, int64_t default_port) {
    BindAddress address;
    if (text.starts_with("unix:")) {
        std::string_view path = text.substr(5);
        if (path.starts_with("//")) path.remove_prefix(2);
        if (path.empty()) return Failure{"The address " + quoted(text) + " names no path."};
        address.family = BindAddress::Family::kUnix;
        address.host = std::string(path);
        return address;
    }
    if (text.starts_with("fd://")) {
        auto number = parse_int(text.substr(5));
        if (!number || number.value() < 0 || number.value() > INT32_MAX) {
            return Failure{quoted(text.substr(5)) + " is not a file descriptor, in the address " +
                           quoted(text) + "."};
        }
        address.family = BindAddress::Family::kFd;
        address.number = number.value();
        return address;
    }
    std::string_view rest = text;
    if (rest.starts_with("tcp://")) rest.remove_prefix(6);
    if (rest.find("://") != std::string_view::npos) {
        return Failure{"The address " + quoted(text) + " must be HOST:PORT, unix:PATH or fd://N."};
    }
    if (rest.empty()) rest = "0.0.0.0";
    return parse_host_port(rest, text, default_port);
}

Result<Value> parse(const Row& row, std::string_view text) {
    const std::string_view trimmed = trim(text);
    switch (row.kind) {
        case Kind::kInt:
        case Kind::kOctal:
            return parse_number(row, text);
        case Kind::kSize:
            return parse_size(row, text);
        case Kind::kShare:
            return parse_share(row, text);
        case Kind::kFlag:
        case Kind::kSendfile:
            return parse_flag(row, trimmed);
        case Kind::kEnum:
            return parse_choice(row, trimmed);
        case Kind::kTexts:
        case Kind::kFiles:
            return Value(text.empty() ? Texts{} : Texts{std::string(trimmed)});
        case Kind::kBuffering:
            return parse_rule(row, text);
        case Kind::kCsv:
            return Value(split_csv(text));
        case Kind::kNetworks:
            return parse_networks(row, text);
        case Kind::kProtocols:
            return parse_protocols(row, text);
        case Kind::kDict:
            return parse_pairs(row, text);
        case Kind::kTlsVersion: {
            auto number = parse_int(trimmed);
            if (number) return Value(number.value());
            return Value(std::string(trimmed));
        }
        case Kind::kText:
        case Kind::kClass:
        case Kind::kHook:
        case Kind::kUser:
        case Kind::kGroup:
        case Kind::kChdir:
        case Kind::kStatsd:
            break;
    }
    return Value(std::string(trimmed));
}

}  // namespace mono::config
