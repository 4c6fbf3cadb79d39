// The table of profiles (profiles.def) as data: what --behind NAME makes the defaults. Constant;
// the control path reads it once (src/python/settings_type.cpp).
#pragma once

#include <span>
#include <string_view>

namespace mono::config {

struct ProfileRow {
    std::string_view behind;
    std::string_view setting;
    std::string_view value;  // in the setting's grammar
    std::string_view why;
    std::string_view source;  // a URL or ""
};

// All rows, in the order of profiles.def.
std::span<const ProfileRow> profiles();

}  // namespace mono::config
