// The grammar of setting values given as text: what is accepted, and the one sentence that says
// why something is not. Pure functions of their arguments; any thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.hpp"
#include "config/settings.hpp"

namespace mono::config {

// monostate stands for None, an unset value.
using Value = std::variant<std::monostate, bool, int64_t, std::string, Texts, Pairs>;

// An integer as Python's int(text, 0) reads it: blanks around, a sign, 0x 0o 0b, single
// underscores between digits; no leading zeros.
base::Result<int64_t> parse_int(std::string_view text);

// Least and greatest value of an Int or Octal row.
struct Range {
    int64_t low = 0;
    int64_t high = INT64_MAX;
};
Range range_of(const Row& row);

// The sentence for a value out of its row's range, or "" if it is inside.
std::string out_of_range(const Row& row, int64_t value);

// One address or network without host bits, as "ADDRESS/BITS" or "*"; netmasks become bits.
base::Result<std::string> parse_network(std::string_view text);

struct BindAddress {
    enum class Family : uint8_t { kTcp, kUnix, kFd };
    Family family = Family::kTcp;
    std::string host;    // kTcp: lower case, no brackets; "" = every address. kUnix: the path
    int64_t number = 0;  // kTcp: the port. kFd: the file descriptor
};
base::Result<BindAddress> parse_bind(std::string_view text, int64_t default_port);

// request_buffering: [/PREFIX=]on|off|SIZE.
struct BufferingRule {
    std::string prefix;         // of the paths that it is for; "" = all
    uint64_t stream_above = 0;  // larger bodies are handed out at their heads
};
constexpr uint64_t kNeverStreamed = UINT64_MAX;
base::Result<BufferingRule> parse_buffering(std::string_view text);

// The value of `row` that `text` stands for. Rows whose value is a Python object (classes, hooks,
// users) give the text itself, without the blanks around it.
base::Result<Value> parse(const Row& row, std::string_view text);

}  // namespace mono::config
