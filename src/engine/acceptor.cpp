#include "engine/acceptor.hpp"

#include <algorithm>
#include <string>

#include "engine/core.hpp"
#include "os/files.hpp"
#include "os/socket.hpp"

namespace mono::engine {

namespace {

constexpr int64_t kDescriptorPauseMs = 100;
constexpr int64_t kRoomMs = 100;
constexpr size_t kEvictedAtOnce = 16;

}  // namespace

// Before a wait. The listeners are watched exactly while a slot is free: a worker that cannot serve
// leaves new connections to its siblings, and must not spin on a level that it does not act on.
void Acceptor::watch() {
    if (core_.slots.busy + core_.ready.size() >= core_.options.slots || core_.links.full()) {
        pause();
    } else if (core_.listeners.paused() && !core_.listeners.resting()) {
        resume();
    }
}

// Whoever stood in the kernel's queue is in: only then is the listener closed, at once. The number
// stays occupied, because its owner will close it too.
void Acceptor::close_listeners() {
    pause();
    int error = 0;
    os::Fd nothing = os::open_append("/dev/null", error);
    for (size_t i = 0; i < core_.listeners.size(); ++i) {
        accept_backlog(i);
        if (!os::replace(core_.listeners.fd(i), nothing))
            core_.notices.say(Severity::kError, "A listening socket could not be closed");
    }
}

void Acceptor::accept_backlog(size_t listener) {
    while (core_.links.descriptors() < core_.options.connections_max) {
        os::Accepted accepted = os::accept_stream(core_.listeners.fd(listener));
        if (accepted.status != os::AcceptStatus::kAccepted) return;
        core_.links.add(std::move(accepted.fd), accepted.peer, listener);
    }
}

uint32_t Acceptor::budget(bool their_turn) const {
    return accept_budget({core_.options.slots, core_.slots.busy, core_.ready.size(),
                          core_.links.descriptors(), core_.options.connections_max,
                          core_.links.clients_room(), core_.listeners.shared(),
                          !core_.drain.accepts(), their_turn});
}

void Acceptor::accept_from(size_t listener, bool their_turn) {
    uint32_t budget = this->budget(their_turn);
    if (budget == 0 && core_.links.descriptors() >= core_.options.connections_max) {
        core_.links.make_room();
        budget = this->budget(their_turn);
        if (core_.links.descriptors() >= core_.options.connections_max) rest();
    }
    for (; budget != 0; --budget) {
        os::Accepted accepted = os::accept_stream(core_.listeners.fd(listener));
        if (accepted.status == os::AcceptStatus::kAgain) return;
        if (accepted.status == os::AcceptStatus::kAccepted) {
            core_.links.add(std::move(accepted.fd), accepted.peer, listener);
            continue;
        }
        if (accepted.status == os::AcceptStatus::kNoDescriptors) out_of_descriptors();
        return rest();
    }
}

void Acceptor::out_of_descriptors() {
    core_.links.make_room();
    if (!no_descriptors_.ask(core_.now.ms)) return;
    core_.notices.say(
        Severity::kError,
        "Cannot accept: no file descriptor or memory is left for a connection. Raise the limit of "
        "open files (ulimit -n, LimitNOFILE=)");
}

void Acceptor::pause() {
    if (core_.listeners.pause() && core_.relay.open()) core_.poller.remove(core_.relay.receiver());
}

void Acceptor::rest() {
    pause();
    core_.listeners.rest_until(core_.now.ms + kDescriptorPauseMs);
}

void Acceptor::resume() {
    core_.listeners.end_rest();
    if (!core_.listeners.paused() || core_.warmup.pending() || !core_.drain.accepts()) return;
    if (!core_.listeners.resume())
        core_.notices.say(Severity::kError, "A listening socket can no longer be watched");
    watch_relay();
}

void Acceptor::watch_relay() {
    if (core_.relay.open() && !core_.poller.add_reader(core_.relay.receiver(), kRelayKey, true))
        core_.notices.say(Severity::kError,
                          "Requests of other workers can no longer be taken over");
}

// With worker_connections of them, a worker leaves newcomers to its siblings, and does not even
// hear of them (watch). Where all are full somebody waits: idle ones make room.
void Acceptor::look_for_room() {
    if (!core_.links.full() || core_.drain.begun() || core_.now.ms < room_at_ms_) return;
    room_at_ms_ = core_.now.ms + kRoomMs;
    if (core_.listeners.anybody_waits())
        core_.links.evict_idle(std::clamp<size_t>(core_.options.clients_max / 8, 1, kEvictedAtOnce),
                               false);
}

}  // namespace mono::engine
