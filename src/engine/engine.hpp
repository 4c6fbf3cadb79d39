// Engine: the connections of one worker, from accept(2) to close(2), behind one epoll set.
//
// Pull, never call up: a runner asks take() for complete requests and answers them with write(),
// write_file() and finish(). The engine never touches Python.
//
// Threads. One lock guards everything; it is never held while waiting and its holders never wait
// for the GIL. The leader is the thread inside take() that waits in epoll: at most one at a time.
// While nobody leads (every slot runs the application), the engine's own thread does
// (io_thread.hpp), so that reading, flushing and deadlines go on beside a slow application.
// An exchange that take() returned belongs to the calling thread until finish() or abandon(). These
// two void all handles of it: whoever calls with one later, or from another thread meanwhile, hears
// that the request is over (kOver), and reaches nobody else's.
//
// From the inside it is a Core (core.hpp) and its parts; a runner sees this and the *Calls.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "engine/answer_calls.hpp"
#include "engine/body_calls.hpp"
#include "engine/deadline_calls.hpp"
#include "engine/drain.hpp"
#include "engine/notice_calls.hpp"
#include "engine/options.hpp"
#include "engine/socket_calls.hpp"
#include "engine/turns.hpp"

namespace mono::engine {

// One round of a nested engine.
struct Turn {
    std::vector<session::Exchange*> ready;
    std::vector<Event> events;
    bool again = false;  // work was cut short: take another turn soon
};

class Engine final : public AnswerCalls,
                     public BodyCalls,
                     public SocketCalls,
                     public DeadlineCalls,
                     public NoticeCalls {
  public:
    explicit Engine(Options options);
    ~Engine();
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    bool ok() const;
    // `fd` stays the caller's. Index: in order of calls (session::PeerInfo::listener).
    [[nodiscard]] bool listen(int fd);

    // A complete request, without waiting; nullptr when there is none, no slot is free, or it is
    // time for take() to look at the kernel.
    session::Exchange* try_take();
    // Waits for one. nullptr: the time is over, wake() rang since `wakes` was read, a signal came,
    // a drain is complete, or needs_attention(), which one thread hears and the others need not.
    // Call without the GIL.
    session::Exchange* take(int timeout_ms, uint64_t wakes);
    // How often wake() was heard: read it before looking at the flag that wake() is rung for.
    uint64_t wakes() const;

    // Nested: what is possible without waiting. The loop calls it when fileno() is readable, and at
    // least once a second for the deadlines. `room`: how many new requests the runner takes.
    void turn(Turn& turn, uint32_t room = UINT32_MAX);
    int fileno() const;

    // From now on clients are answered even if this process crashes (insurance.hpp).
    void insure();
    void pay_insurance(bool late);

    // This process is a child that the application forked: nothing here is its own.
    bool foreign() const;

    // Any thread, any signal handler.
    void wake();
    int wakeup_writer() const;

    // Asks the application for `path` before anybody is accepted. False: errno.
    [[nodiscard]] bool warm_up(std::string_view path);
    // -1: not answered yet; 0: the connection ended without an answer.
    int warmup_status();

    // No more connections; every answer closes its own; idle ones get a moment to send a request.
    // `for_good`: nobody accepts from the listeners after us. Then what their queues hold is served
    // too, and they are closed: their descriptors refer to /dev/null from then on. hold_ms: so long
    // a drain that siblings survive is not complete: it may become one for good.
    void drain(bool for_good, int64_t hold_ms = 0);
    // Nothing is left, and nothing will be served any more. Ask again after each turn.
    bool drained();
    DrainStage drain_stage();

    const Options& options() const;
    const session::Limits& limits() const { return options().limits; }
    const websocket::WebSocketLimits& websocket_limits() const { return options().websocket; }
    bool sendfile_enabled() const { return options().sendfile; }

  private:
    explicit Engine(std::unique_ptr<Core> core);

    const std::unique_ptr<Core> core_;
};

}  // namespace mono::engine
