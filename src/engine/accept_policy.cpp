#include "engine/accept_policy.hpp"

#include <algorithm>

namespace mono::engine {

uint32_t accept_budget(const Load& load) {
    uint32_t taken = load.busy + load.ready;
    if (load.draining || load.connections >= load.connections_max || taken >= load.slots) return 0;
    uint32_t room = load.connections_max - load.connections;
    uint32_t wanted = load.shared ? load.slots - taken : kAcceptBatch;
    return std::min({room, wanted, kAcceptBatch});
}

}  // namespace mono::engine
