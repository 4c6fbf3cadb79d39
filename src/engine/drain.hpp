// What runners are told of a drain (drainer.cpp). Values; nothing is owned here.
#pragma once

#include <cstdint>

#include "session/exchange.hpp"

namespace mono::engine {

// How far a drain is.
enum class DrainStage : uint8_t {
    kEarly,      // or there is none
    kFarewell,   // streams without an end were told to go
    kOutOfTime,  // the last moment: nested runners end what still runs
};

// Whether the answer is of a kind that has no end of its own. Its application is done, or in it.
bool is_endless(const session::Exchange& exchange);

}  // namespace mono::engine
