#include "config/profiles.hpp"

namespace mono::config {
namespace {

#define MONO_PROFILE(behind, setting, value, why, source) {#behind, #setting, value, why, source},

constexpr ProfileRow kRows[] = {
#include "config/profiles.def"
};

#undef MONO_PROFILE

}  // namespace

std::span<const ProfileRow> profiles() { return kRows; }

}  // namespace mono::config
