#include "engine/core.hpp"

#include <utility>
#include <vector>

#include "os/heap.hpp"
#include "os/process.hpp"

namespace mono::engine {

State::State(Options given)
    : options(std::move(given)),
      process{os::process_id(), os::current_thread()},
      drain(
          {options.limits.drain_delay_ms, options.limits.hurry_ms, options.limits.stream_grace_ms}),
      recorder(options.board == nullptr ? nullptr : &options.board->slot(options.board_slot)),
      relay(options.board == nullptr ? Relay({}, nullptr)
                                     : Relay(options.relay, &options.board->header().parcels)),
      insurance(recorder, relay, outbox, options.limits),
      listeners(poller, options.shared_listeners),
      bell(wakeup, options.nested),
      notices(options.runner_fd, bell),
      access_log(options.access_log, notices) {
    os::bound_heap();
    now.look();
}

Core::Core(Options given) : State(std::move(given)) {
    if (!ok()) return;
    if (!forks.join())
        notices.say(Severity::kError, "No memory to look after processes that are forked");
    if (!poller.add_reader(wakeup.reader(), kWakeupKey, false))
        notices.say(Severity::kError, "epoll_ctl failed for the wake-up pipe");
    acceptor.watch_relay();
    rounds.publish_load();
    if (!options.nested) {
        io_thread.start();
    } else if (options.limits.request_ms_max != 0) {
        io_thread.start_watch();
    }
}

Core::~Core() {
    forks.part();
    // In a child that the application forked there is no other thread, and nothing here is ours.
    if (process.foreign || os::process_id() != process.pid) {
        io_thread.detach();
        waiters.leave();
        return;
    }
    io_thread.stop();
    Lock lock(mutex);
    outgoing.flush_outbox();
    std::vector<Link*> open;
    // Streams end with their connections.
    links.for_each([&](Link& link) {
        if (link.stream == nullptr) open.push_back(&link);
    });
    for (Link* link : open) links.close(*link);
    outgoing.forget_released();
}

}  // namespace mono::engine
