// uwsgi packets for tests.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace mono::uwsgi {

using Pairs = std::initializer_list<std::pair<std::string_view, std::string_view>>;

inline std::string little_endian(size_t number) {
    return {static_cast<char>(number & 255), static_cast<char>(number >> 8)};
}

inline std::string framed(const std::string& variables, char modifier = 0) {
    return modifier + little_endian(variables.size()) + '\0' + variables;
}

inline std::string packet(Pairs pairs) {
    std::string variables;
    for (const auto& [name, value] : pairs) {
        variables += little_endian(name.size());
        variables += name;
        variables += little_endian(value.size());
        variables += value;
    }
    return framed(variables);
}

}  // namespace mono::uwsgi
