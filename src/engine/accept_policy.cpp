#include "engine/accept_policy.hpp"

#include <algorithm>

namespace mono::engine {

uint32_t accept_budget(const Load& load) {
    if (load.draining || load.connections >= load.connections_max) return 0;
    uint32_t room = load.connections_max - load.connections;
    uint32_t free = load.slots - std::min(load.busy + load.ready, load.slots);
    uint32_t wanted = free != 0 && !load.shared ? kAcceptBatch : free;
    if (load.their_turn) wanted = std::max(wanted, kTurnBatch);
    return std::min({room, wanted, load.clients_room, kAcceptBatch});
}

Descriptors descriptors_of(uint64_t files_max, uint64_t used) {
    constexpr uint64_t kKeptMin = 32;
    constexpr uint64_t kFilesKeptMax = 64;
    constexpr uint64_t kLinksMin = 2;  // or nobody is served at all
    constexpr uint64_t kEnough = 1U << 30;
    files_max = std::min(files_max, kEnough);
    const uint64_t left = files_max - std::min(used, files_max);
    const uint64_t kept = std::min(std::max(kKeptMin, files_max / 10), left / 2);
    const uint64_t ours = std::max(left - kept, kLinksMin);
    const uint64_t files = std::min(ours / 4, kFilesKeptMax);
    return {.links_max = static_cast<uint32_t>(ours - files),
            .files_kept = static_cast<uint32_t>(files)};
}

}  // namespace mono::engine
