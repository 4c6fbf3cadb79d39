#include "engine/turns.hpp"

#include "engine/core.hpp"

namespace mono::engine {

void Turns::note(session::Exchange* exchange, EventKind kind) {
    if (!core_.options.nested || !exchange->handed_out) return;
    // Between two turns the descriptor has to tell that there is something.
    if (events_.empty()) core_.bell.ring();
    events_.push_back({*exchange, kind});
}

}  // namespace mono::engine
