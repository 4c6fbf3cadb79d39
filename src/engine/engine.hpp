// Engine: the connections of one worker, from accept(2) to close(2), behind one epoll set.
//
// Pull, never call up: a runner asks take() for complete requests and answers them with write(),
// write_file() and finish(). The engine never touches Python.
//
// Threads. One lock guards everything; it is never held while waiting and its holders never wait
// for the GIL. The pilot is the thread inside take() that waits in epoll: at most one at a time.
// While no pilot is there (every slot runs the application), the standby thread takes the seat
// (standby.cpp), so that reading, flushing and deadlines go on beside a slow application.
// An exchange that take() returned belongs to the calling thread until finish() or abandon(). These
// two void all handles of it: whoever calls with one later, or from another thread meanwhile, hears
// that the request is over (kOver), and reaches nobody else's.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/timer_wheel.hpp"
#include "engine/accept_policy.hpp"
#include "engine/drain.hpp"
#include "engine/insurance.hpp"
#include "engine/journal.hpp"
#include "engine/outbox.hpp"
#include "engine/pools.hpp"
#include "engine/recorder.hpp"
#include "engine/relay.hpp"
#include "engine/seldom.hpp"
#include "engine/spill_file.hpp"
#include "engine/unrun.hpp"
#include "log/access_log.hpp"
#include "os/fork_hook.hpp"
#include "os/poller.hpp"
#include "os/socket.hpp"
#include "os/wakeup.hpp"
#include "session/connection.hpp"
#include "session/limits.hpp"

namespace mono::engine {

struct Options {
    session::Limits limits;
    uint32_t slots = 1;             // requests that the runner runs at once
    uint32_t connections_max = 0;   // 0: from RLIMIT_NOFILE
    uint32_t clients_max = 0;       // connections that one worker holds at most; 0: any number
    bool shared_listeners = false;  // siblings accept from the same sockets
    bool sendfile = true;           // write_file() may be used
    // An event loop that is not ours drives the engine by turn() (gevent, asyncio): no standby, and
    // nothing waits.
    bool nested = false;
    websocket::WebSocketLimits websocket;
    bool stream_bodies = false;  // at their heads, where Limits::buffering has no rule (ASGI)
    const board::Scoreboard* board = nullptr;  // outlives the engine; nullptr: nobody looks
    uint32_t board_slot = 0;
    RelayEnds relay;         // to and from siblings; only with a board
    int overdue_signal = 0;  // to the maker's thread: collect_overdue() or drain_stage(); 0: none
    int stuck_signal = 0;    // handled in a copy of this process when nobody does; 0: none
    int master_fd = -1;      // a byte wakes the master
    // A byte wakes whoever calls take_journal() and warmup_status(); -1: who comes out of take().
    int runner_fd = -1;
    bool keep_unrun = false;     // what never comes to its application, for a runner that asks
    std::string server;          // value of the Server field
    bool server_timing = false;  // answers tell how long they took
    log::AccessLog* access_log = nullptr;
};

// Bytes of a response body. With an owner they may be referenced after write() returned.
struct Piece {
    std::string_view bytes;
    void* owner = nullptr;
};

// What happened to an exchange that a nested runner holds.
enum class EventKind : uint8_t {
    kBody,      // more in incoming, or its end
    kRoom,      // the output is low again (Exchange::wants_room was set)
    kGone,      // the client has left
    kFarewell,  // a drain: a stream without an end should find one
    kLate,  // its time is over: answered; whoever collects the overdue interrupts the application
};
struct Event {
    Handle exchange;
    EventKind kind;
};

// One round of a nested engine.
struct Turn {
    std::vector<session::Exchange*> ready;
    std::vector<Event> events;
    bool again = false;  // work was cut short: take another turn soon
};

// What comes behind the bytes that Engine::take_arrived() gave.
enum class BodyState : uint8_t {
    kMore,
    kComplete,
    kGone,     // the client has left in the middle of it
    kRefused,  // the client was answered: `fault` is why
    kOver,     // the request has ended
};

enum class WriteStatus : uint8_t {
    kDone,  // `bytes` were copied or sent: the owner is still the caller's
    kKept,  // the owner now belongs to the engine; it comes back through take_released()
    kGone,  // the client has gone; the owner is still the caller's
    kOver,  // the request has ended before; so it is
};

// What is known of the client of a running request. After its FIN it may still be reading.
enum class Presence : uint8_t { kHere, kSentFin, kGone };

class Engine final : private os::ForkParty {
  public:
    explicit Engine(Options options);
    ~Engine();
    Engine(const Engine&) = delete;
    Engine& operator=(const Engine&) = delete;

    bool ok() const { return poller_.ok() && wakeup_.ok(); }
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
    uint64_t wakes() const { return wakes_.load(std::memory_order_acquire); }

    // Nested: what is possible without waiting. The loop calls it when fileno() is readable, and at
    // least once a second for the deadlines. `room`: how many new requests the runner takes.
    void turn(Turn& turn, uint32_t room = UINT32_MAX);
    int fileno() const { return poller_.fd(); }
    // engine_body.cpp: a streamed body (Exchange::streamed) while it arrives. Without the GIL:
    // until something is there to take, or nothing more will come. False: not yet; look after
    // signals. A nested engine does not wait.
    bool wait_body(Handle handle, int timeout_ms);
    // What is there; the caller leaves `taken` empty. No system call is made.
    BodyState take_arrived(Handle handle, base::Buffer& taken, http::Error& fault);
    // Nested: both at once.
    BodyState take_body(Handle handle, base::Buffer& taken);
    // A whole body. Copies from `offset` on; the number of bytes, 0 at its end.
    int64_t read_body(Handle handle, uint64_t offset, std::span<char> into);
    // How far it is to behind the next LF, at most `bytes_max`.
    int64_t measure_line(Handle handle, uint64_t offset, uint64_t bytes_max);
    // What these two say instead of a number.
    static constexpr int64_t kUnreadable = -1;
    static constexpr int64_t kTooLate = -2;
    // Bytes of output that the kernel has not taken yet.
    uint64_t unsent(Handle handle);
    // Nested: no more than `bytes_max` are unsent. False: an event tells when there are few.
    bool has_room(Handle handle, uint64_t bytes_max);
    // The runner's object for this exchange (Exchange::user); nullptr: none, or the request is
    // over.
    void* user_of(Handle handle);
    // "-" when the request is over.
    std::string request_id_of(Handle handle);

    // The response. Call without the GIL where it can be helped: they make system calls.
    // `known_length`: of the whole body where the caller knows it, else -1. `last` ends the body.
    WriteStatus write(Handle handle, Piece piece, int64_t known_length, bool last);
    // The same for who holds the GIL, where the answer can wait in the outbox: neither waits nor,
    // as a rule, makes a system call. nullopt: not now, and nothing has happened.
    std::optional<WriteStatus> try_write(Handle handle, Piece piece, int64_t known_length,
                                         bool last);
    // Sends a range of a file as the whole rest of the body; takes over `fd` in every case.
    WriteStatus write_file(Handle handle, int fd, uint64_t offset, uint64_t length);
    // An interim response (1xx), complete with its empty line.
    WriteStatus write_interim(Handle handle, std::string_view head);
    // The server's own page, head and all, instead of a response; the connection ends with it.
    void write_page(Handle handle, uint16_t status, std::string_view page);
    // Replaces a response that has not begun by the server's own page and ends the connection.
    void write_error(Handle handle, uint16_t status, std::string_view detail);
    // Every byte of it has been given, whatever the application still does.
    bool is_answered(Handle handle);
    // The head as it was sent, and the bytes of body. False: the request is over.
    bool copy_answer(Handle handle, std::string& line, std::string& fields, uint64_t& body_bytes);
    // For who writes nothing and so hears nothing of its client. Never waits for the lock.
    Presence presence(Handle handle);
    // The client has left, or the request is over.
    bool gone(Handle handle);
    // A duplicate of the client's descriptor, the caller's; the connection ends with this request.
    // -1: the client has gone. `ahead`: what was read behind the request already.
    int share_socket(Handle handle, std::string* ahead = nullptr);
    // From now on the application speaks on it, and nobody else: no page, no deadline, no
    // lingering.
    void give_away(Handle handle);
    // The status that it told its client by itself, for the logs; what is none is left out.
    void note_status(Handle handle, std::string_view line);
    // engine_websocket.cpp: sends the 101 in `head`; from then on there is an exchange.inbox, and
    // it fills. False: the client had gone before.
    bool upgrade(Handle handle, std::string_view head,
                 const std::optional<websocket::DeflateParams>& deflate);
    WriteStatus send_message(Handle handle, Piece piece, bool text);
    void close_socket(Handle handle, uint16_t code, std::string_view reason);
    // The next message into `message`; false: none has come yet.
    bool take_message(Handle handle, session::SocketMessage& message);
    // No message will come any more: `end` is why.
    bool socket_ended(Handle handle, websocket::WebSocketEnd& end);
    // The application is done: the exchange goes back; the connection goes on or closes.
    void finish(Handle handle);
    // The same for who holds the GIL. False: not now.
    bool try_finish(Handle handle);
    // The application fell. The connection ends: cut, unless all of the response had been given,
    // and reset where nothing else would tell that it is not whole.
    void abandon(Handle handle);

    // From now on clients are answered even if this process crashes (insurance.hpp).
    void insure() { insurance_.install(); }
    void pay_insurance(bool late) { insurance_.pay(late); }

    // This process is a child that the application forked: nothing here is its own.
    bool foreign() const { return foreign_; }

    // Any thread, any signal handler.
    void wake() { wakeup_.ring(); }
    int wakeup_writer() const { return wakeup_.writer(); }

    // engine_warmup.cpp. Asks the application for `path` before anybody is accepted. False: errno.
    [[nodiscard]] bool warm_up(std::string_view path);
    // -1: not answered yet; 0: the connection ended without an answer.
    int warmup_status();

    // engine_drain.cpp. No more connections; every answer closes its own; idle ones get a moment to
    // send a request. `for_good`: nobody accepts from the listeners after us. Then what their
    // queues hold is served too, and they are closed: their descriptors refer to /dev/null from
    // then on. hold_ms: so long a drain that siblings survive is not complete: it may become one
    // for good.
    void drain(bool for_good, int64_t hold_ms = 0);
    // Nothing is left, and nothing will be served any more. Ask again after each turn.
    bool drained();
    DrainStage drain_stage();

    // engine_deadlines.cpp. The application gets until `span_ms` from now. False: it is too late,
    // or there is no deadline. Any thread.
    bool extend(Handle handle, int64_t span_ms);
    // Whether collect_overdue() has something to give out.
    bool has_overdue();
    // Calls visit(exchange, untold) under the lock for each request whose time is newly over; the
    // next one rings again. Not untold: the master has told its story.
    template <class Visit>
    void collect_overdue(Visit visit) {
        Lock lock(mutex_);
        rings_ = 0;
        stuck_ = false;
        for (session::Exchange* exchange : std::exchange(overdue_, {})) {
            visit(*exchange, recorder_.advance_story(*exchange, board::Story::kCollected));
            if (exchange->entered && !exchange->leaving) uninterrupted_.push_back(exchange);
        }
    }
    // Calls visit(exchange) under the lock for each collected one whose application still runs and
    // was not interrupted; true: it is now.
    template <class Visit>
    void interrupt_overdue(Visit visit) {
        Lock lock(mutex_);
        std::erase_if(uninterrupted_, [&](session::Exchange* exchange) {
            if (!exchange->leaving && !exchange->interrupted)
                exchange->interrupted = visit(*exchange);
            return exchange->leaving || exchange->interrupted;
        });
    }
    // Whoever interrupts the application of this one may do it now, and only now.
    bool interrupt(Handle handle);
    // The application begins. False: its time is over already, and it shall not.
    bool enter_application(Handle handle) {
        return options_.limits.request_ms_max == 0 || enter_in_time(handle);
    }
    // The application is done: from now on it is not interrupted any more. True: it was.
    bool leave_application(Handle handle) {
        return options_.limits.request_ms_max != 0 && leave_in_time(handle);
    }

    // There are released owners or, without a runner_fd, entries in the journal. A level: whoever
    // sees it takes them.
    bool needs_attention() const { return attention_.load(std::memory_order_relaxed); }
    std::vector<JournalEntry> take_journal();
    std::vector<void*> take_released();
    void log(Severity severity, std::string text, Place where = Place::here());
    board::Totals totals();
    uint64_t connections_accepted();
    uint32_t connections();
    const session::Limits& limits() const { return options_.limits; }
    const websocket::WebSocketLimits& websocket_limits() const { return options_.websocket; }
    bool sendfile_enabled() const { return options_.sendfile; }
    void reopen_access_log(int fd);
    // With keep_unrun: what was answered without the application, for the access log.
    std::vector<Unrun> take_unrun();
    // The last thing of a worker: waits a moment for room, and tells how many lines found none.
    void close_access_log();

  private:
    using Lock = std::unique_lock<std::mutex>;
    // How often the standby looks: not at all, every few milliseconds, every millisecond.
    enum class StandbyPace : uint8_t { kDormant, kSlow, kFast };
    // What is to be done next on a connection.
    enum class Work : uint8_t { kNone, kSend, kAdvance, kReceive, kClose };

    // engine.cpp: the seat
    session::Exchange* pop_ready();
    void hand_out(session::Exchange& exchange);
    void publish_load();
    session::Exchange* wait_for_request(Lock& lock, int timeout_ms, uint64_t wakes);
    bool look_due() const;
    void look(Lock& lock);
    bool pilot(Lock& lock, int timeout_ms);
    void process(const epoll_event* events, int count);
    int wait_ms(int timeout_ms) const;
    void expire_links();
    void watch_listeners();
    void look_at_clock();
    bool hear_attention();
    void note_attention();
    void say(Severity severity, std::string text, Place where = Place::here());
    void flush_access_log();
    void call_runner(bool first);
    void watch_access_log();
    void say_drops(std::string before);

    // engine_loop.cpp: what a connection does next. bool: false when the link has been closed
    bool drive(Link& link, session::Next next);
    bool push(Link& link);
    bool act(Link& link, session::Next next);
    Work work_of(const Link& link) const;
    session::Next perform(Link& link, Work work);
    bool send(Link& link);
    session::Next advance(Link& link);
    session::Next receive(Link& link);
    void dispatch(Link& link);
    void progressed(Link& link);
    bool rest(Link& link);
    bool later(Link& link);
    void rearm(Link& link);

    // engine_io.cpp: events, accept and close, under the lock
    void on_event(const epoll_event& event);
    uint32_t budget(bool their_turn) const;
    void accept_from(size_t listener, bool their_turn = false);
    void add_connection(os::Fd fd, const os::PeerAddress& peer, size_t listener);
    void pause_listeners();
    void resume_listeners();
    void watch_relay();
    void enqueue(session::Exchange* exchange);
    void unqueue(const session::Exchange* exchange);
    void hold(Link& link);
    void hurry_standby();
    void unhold(Link& link);
    void flush_held();
    void flush_outbox();
    void close_link(Link& link);
    void forget_link(Link& link);
    void release_handed_out(Link& link);
    void answer_probe(Link& link);

    // engine_websocket.cpp
    size_t feed_socket(Link& link, char* bytes, size_t size);
    void feed_waiting(Link& link);
    session::Next end_input(Link& link);
    void note_end(Link& link);
    void fail_socket(Link& link);
    void shut_socket(Link& link, uint16_t code, std::string_view reason);
    void expire_socket(Link& link);
    void leave_socket(Link& link);
    websocket::WebSocket::Sent send_packed(Lock& lock, Handle handle, std::string_view message,
                                           bool text);
    bool evict_idle(size_t most, bool lingering);
    void make_room();
    bool full() const { return options_.clients_max != 0 && links_.size() >= options_.clients_max; }
    uint32_t clients_room() const {
        if (options_.clients_max == 0) return UINT32_MAX;
        return options_.clients_max - std::min(options_.clients_max, links_.size());
    }
    void look_for_room();
    void withdraw();
    void forget_released();
    bool poll_link(Link& link);  // false when the link has been closed
    void poll_all();
    void out_of_descriptors();
    // That connections and their files hold; of Options::connections_max.
    uint32_t descriptors() const { return descriptors_.taken(); }

    void read_warmup();

    // engine_drain.cpp
    void begin_drain(bool for_good);
    void hurry();
    void close_listeners();
    void accept_backlog(size_t listener);
    void go_on_draining();
    void begin_idle_drain();
    void half_close(Link& link);
    void say_farewell();
    void bid_farewell(session::Exchange& exchange);
    void cut();
    bool drain_complete() const;
    bool siblings_wait() const;

    // engine_relay.cpp
    void offer_ready(bool long_wait);
    Handover hand_over(Link& link);
    bool accept_relayed();

    // engine_fork.cpp
    void before_fork() override;
    void after_fork_in_parent() override;
    void after_fork_in_child() override;
    void forget_everything();

    // engine_deadlines.cpp
    void arm_request(session::Exchange& exchange);
    void expire_requests();
    void make_overdue(session::Exchange& exchange);
    bool drop_queued(session::Exchange& exchange);
    bool enter_in_time(Handle handle);
    bool leave_in_time(Handle handle);
    void ring_overdue();
    bool watches_overdue() const { return !overdue_.empty() || !uninterrupted_.empty(); }
    void watch_overdue(Lock& lock);
    void give_up_on_python(Lock& lock);
    void tell_untold(const session::Exchange& exchange);
    void run_watch();
    void start_watch();

    // engine_respond.cpp
    struct Wire;
    void fill_wire(session::Exchange& exchange, const Piece& piece, int64_t known_length, bool last,
                   Wire& wire);
    void begin_response(session::Exchange& exchange, const session::ResponseContext& context,
                        int64_t known_length);
    void put_page(session::Exchange& exchange, uint16_t status, std::string_view page);
    void note_mismatch(const session::Exchange& exchange);
    void put_away(session::Exchange& exchange, Ending ending);
    char* outgoing(size_t bytes);
    WriteStatus transmit(Link& link, const Wire& wire, void* owner);
    WriteStatus write_piece(session::Exchange& exchange, const Piece& piece, int64_t known_length,
                            bool last);
    bool may_box(const session::Exchange& exchange) const;
    WriteStatus box(Link& link, const Wire& wire);
    WriteStatus keep(Link& link, const Wire& wire, size_t sent, void* owner);
    session::ResponseContext response_context();
    void add_own_fields(session::Exchange& exchange);
    static void guard_end(const session::Exchange& exchange);
    void note_refusal(Link& link);
    void note_finished(Link& link, bool whole);
    void log_access(const session::Exchange& exchange, uint16_t status, uint64_t body_bytes,
                    http::Error error = http::Error::kNone);
    void give_back(session::Exchange& exchange, bool whole);

    void note_event(session::Exchange* exchange, EventKind kind);

    // standby.cpp: memory of connections that are gone
    bool trim_due() const {
        return links_peak_ >= kTrimmedFrom && links_.size() <= links_peak_ / 2;
    }
    void trim(Lock& lock);

    // engine_spill.cpp
    void crowd(Link& link);
    bool store_crowded(Lock& lock);
    void store_slice(Lock& lock);
    void say_unstored();
    void note_room();
    session::Exchange* wait_for_room(Lock& lock, Handle handle);

    // engine_body.cpp
    session::Exchange* find(Handle handle) const { return exchanges_.find(handle); }
    void pull_body(session::Exchange& exchange);
    void pass_seat();
    void beat();
    void note_body();

    // standby.cpp
    void run_standby();
    void fly_standby(Lock& lock);
    void wait_standby(Lock& lock);
    StandbyPace next_pace(bool eventful, int64_t active_ms, int& calm_looks) const;
    void notice_stop();
    void start_standby();
    void stop_standby();

    Options options_;
    Descriptors descriptors_;
    SpillFiles body_spills_;  // of requests
    SpillFiles spills_;       // of answers to slow readers
    ExchangeStore exchanges_;
    http::RequestIdMaker ids_;
    session::ConnectionContext context_;
    os::Poller poller_;
    os::Wakeup wakeup_;        // ends a wait in take()
    os::Wakeup standby_kick_;  // ends a wait of the standby
    base::TimerWheel wheel_;
    base::TimerWheel requests_;  // running ones that may become overdue
    Recorder recorder_;
    Relay relay_;
    Outbox outbox_;
    Insurance insurance_{recorder_, relay_, outbox_, options_.limits};
    LinkTable links_;
    std::vector<int> listeners_;

    std::mutex mutex_;
    // On the heap: in a forked child, glibc would wait for waiters that are not there to destroy
    // them. A child leaves them.
    struct Waits {
        std::condition_variable ready_or_seat;  // threads in take() that are not the pilot
        std::condition_variable room;           // writers that wait for a slow reader
        std::condition_variable body;           // readers that wait for a slow sender
    };
    std::unique_ptr<Waits> waits_ = std::make_unique<Waits>();
    bool fork_locked_ = false;               // by the thread that forks
    std::atomic<bool> has_children_{false};  // a child may hold connections of ours
    bool foreign_ = false;                   // written where there is one thread

    session::Exchange* ready_head_ = nullptr;
    session::Exchange* ready_tail_ = nullptr;
    uint32_t ready_count_ = 0;
    uint32_t busy_ = 0;
    uint64_t epoch_ = 0;     // grows whenever a slot is taken or given back
    int64_t now_us_ = 0;     // of the current round: one look at the clock for all that it does
    int64_t now_ms_ = 0;     // the same
    int64_t looked_ms_ = 0;  // into the poller
    int64_t drain_idle_at_ms_ = 0;
    int64_t hurry_at_ms_ = 0;
    int64_t farewell_at_ms_ = 0;
    int64_t cut_at_ms_ = 0;
    int64_t hold_until_ms_ = 0;
    int64_t closing_at_ms_ = 0;  // of the listeners, in a stop for good
    int64_t resume_at_ms_ = 0;   // listeners that ran out of descriptors
    int64_t room_at_ms_ = 0;     // when to look who waits for a place here
    int64_t descriptors_said_ms_ = INT64_MIN / 2;
    uint32_t waiting_takers_ = 0;
    uint32_t waiting_readers_ = 0;  // on Waits::body
    uint32_t waiting_writers_ = 0;  // on Waits::room
    uint32_t unpolled_ = 0;         // links that are not in the poller
    int64_t polled_ms_ = 0;         // when there were none of them
    bool has_pilot_ = false;
    bool listeners_paused_ = false;
    bool draining_ = false;
    bool for_good_ = false;       // the whole server stops, and we are not done
    bool told_for_good_ = false;  // whatever has become of it
    bool farewell_said_ = false;
    bool out_of_time_ = false;
    bool drained_ = false;
    bool standby_flying_ = false;
    StandbyPace standby_pace_ = StandbyPace::kDormant;
    int64_t changed_ms_ = 0;  // when epoch_ grew last
    int64_t boxed_ms_ = 0;    // when the oldest answer in the outbox was put there
    bool standby_quit_ = false;

    std::atomic<uint64_t> wakes_{0};
    std::atomic<bool> attention_{false};  // as needs_attention() says
    bool heard_ = false;                  // a thread has left take() for it
    Journal journal_;
    UnrunList unrun_;
    std::vector<base::Released> released_;
    std::vector<void*> released_owners_;
    std::vector<Link*> held_;
    static constexpr uint32_t kTrimmedFrom = 64;
    uint32_t links_peak_ = 0;  // since the heap was trimmed
    int64_t trimmed_ms_ = 0;
    std::deque<uint64_t> crowded_;   // keys of links with too much output in memory, in turn
    std::unique_ptr<char[]> slice_;  // of output on its way to a file; whoever stores
    int64_t unstored_said_ms_ = INT64_MIN / 2;
    std::vector<Event> events_;  // nested: for the next turn
    bool in_turn_ = false;
    std::vector<session::Exchange*> overdue_;        // running, and nobody has collected them
    std::vector<session::Exchange*> uninterrupted_;  // collected, and their applications run on
    uint32_t rings_ = 0;                             // for these, since the last collection
    int64_t rung_ms_ = 0;                            // the last of them
    int64_t uncollected_ms_ = 0;                     // since when overdue_ is not empty
    bool stuck_ = false;                             // nobody collects: Python does not run
    uint64_t connections_accepted_ = 0;
    os::Fd warmup_;  // the client's end of the warm-up, while it lasts
    uint16_t warmup_status_ = 0;
    uint64_t lines_dropped_ = 0;  // of the access log, as reported so far
    int64_t drops_said_ms_ = 0;
    bool access_log_lost_ = false;  // and that was said
    Seldom other_protocol_;

    time_t date_second_ = 0;
    std::string date_;
    std::unique_ptr<char[]> scratch_;  // kReceiveBytes: what recv(2) gave last
    base::Buffer outgoing_;            // what send(2) gets next
    int owner_pid_;
    uint64_t owner_thread_;
    std::thread standby_;
    std::thread watch_;
};

}  // namespace mono::engine
