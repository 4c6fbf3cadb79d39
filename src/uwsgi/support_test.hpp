// uwsgi packets for tests.
#pragma once

#include <string>

#include "uwsgi/packet.hpp"

namespace mono::uwsgi {

inline std::string little_endian(size_t number) {
    std::string text;
    append_size(number, text);
    return text;
}

inline std::string framed(const std::string& variables, char modifier = 0) {
    return modifier + little_endian(variables.size()) + '\0' + variables;
}

inline std::string packet(Pairs pairs) { return write_packet(pairs); }

}  // namespace mono::uwsgi
