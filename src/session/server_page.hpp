// server_page: the answer that the server gives by itself, whole: refusals, 500, 503, 504. Pure.
#pragma once

#include <string>
#include <string_view>

#include "session/exchange.hpp"
#include "session/limits.hpp"

namespace mono::session {

// From 500 on the page names the request's id, so that whoever gets it can tell which it was.
std::string server_page(const Limits& limits, const Exchange& exchange, uint16_t status,
                        std::string_view detail);

}  // namespace mono::session
