// From settings to what a connection's opening obeys. Pure.
#pragma once

#include "base/result.hpp"
#include "config/settings.hpp"
#include "engine/opening.hpp"
#include "http2/limits.hpp"

namespace mono::engine {

// But for `tls`, whose certificates come from the master.
base::Result<OpeningRules> opening_rules_from(const config::Settings& settings);
http2::Limits http2_limits_from(const config::Settings& settings);

}  // namespace mono::engine
