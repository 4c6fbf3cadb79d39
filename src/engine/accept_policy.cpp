#include "engine/accept_policy.hpp"

#include <algorithm>

namespace mono::engine {

uint32_t accept_budget(const Load& load) {
    if (load.draining || load.connections >= load.connections_max) return 0;
    uint32_t room = load.connections_max - load.connections;
    uint32_t free = load.slots - std::min(load.busy + load.ready, load.slots);
    uint32_t wanted = free != 0 && !load.shared ? kAcceptBatch : free;
    if (load.their_turn) wanted = std::max(wanted, kTurnBatch);
    return std::min({room, wanted, kAcceptBatch});
}

}  // namespace mono::engine
