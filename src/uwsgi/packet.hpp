// The uwsgi packet: four bytes (modifier, size of what follows as a little-endian number, second
// modifier), then variables, each a name and a value with its size before it. A body of
// CONTENT_LENGTH bytes follows it.
// Sans-I/O and pure; nothing is looked at twice, however the bytes come.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

#include "http/error.hpp"

namespace mono::uwsgi {

constexpr size_t kPrefixBytes = 4;
constexpr size_t kVariablesMax = 1000;  // as gunicorn

struct Fault {
    http::Error error = http::Error::kNone;
    size_t offset = 0;  // from the packet's first byte
};

struct Variable {
    std::string_view name;
    std::string_view value;
    size_t offset = 0;  // of its first byte
};

enum class Status : uint8_t { kNeedMore, kMalformed, kDone };

struct Packet {
    Status status = Status::kNeedMore;
    Fault fault;                 // of kMalformed
    std::string_view variables;  // of kDone; they are not yet looked at
    size_t size = 0;             // of kDone: prefix and variables
};

// `bytes`: all that has arrived since the packet began.
Packet take_packet(std::string_view bytes, size_t packet_bytes_max);

// The variable at `at` of `variables`, and `at` behind it. False: it is cut short.
bool next_variable(std::string_view variables, size_t& at, Variable& variable);

// A whole packet of modifier 0, for who asks by uwsgi. Together at most 65,535 bytes.
using Pairs = std::initializer_list<std::pair<std::string_view, std::string_view>>;
std::string write_packet(Pairs variables);
// Two bytes, as sizes are written.
void append_size(size_t size, std::string& out);

// Calls visit(const Variable&) -> Fault for each; stops at the first fault.
template <class Visit>
Fault for_each_variable(std::string_view variables, Visit visit) {
    size_t count = 0;
    Variable variable;
    for (size_t at = 0; at < variables.size();) {
        const size_t begin = at;
        if (!next_variable(variables, at, variable))
            return {http::Error::kUwsgiVariable, kPrefixBytes + begin};
        if (++count > kVariablesMax) return {http::Error::kTooManyFields, variable.offset};
        const Fault fault = visit(variable);
        if (fault.error != http::Error::kNone) return fault;
    }
    return {};
}

}  // namespace mono::uwsgi
