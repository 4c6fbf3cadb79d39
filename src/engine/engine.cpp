#include "engine/engine.hpp"

#include <algorithm>
#include <cstring>

#include "base/clock.hpp"
#include "os/heap.hpp"
#include "os/process.hpp"

namespace mono::engine {
namespace {

constexpr int kEventsMax = 256;
constexpr int64_t kLookMs = 4;          // into the kernel, beside a queue that is never empty
constexpr int64_t kDropsSayMs = 1'000;  // a line in the error log, no flood
}  // namespace

Engine::Engine(Options options)
    : options_(std::move(options)),
      body_spills_(options_.limits.temp_directory),
      spills_(options_.limits.temp_directory),
      ids_(os::random_number()),
      context_{options_.limits, exchanges_, body_spills_, ids_, now_us_, options_.stream_bodies},
      wheel_(base::monotonic_ms()),
      requests_(base::monotonic_ms()),
      recorder_(options_.board == nullptr ? nullptr : &options_.board->slot(options_.board_slot)),
      relay_(options_.board == nullptr ? Relay({}, nullptr)
                                       : Relay(options_.relay, &options_.board->header().parcels)),
      scratch_(new char[session::kReceiveBytes]),
      owner_pid_(os::process_id()),
      owner_thread_(os::current_thread()) {
    os::bound_heap();
    look_at_clock();
    if (options_.connections_max == 0) {
        descriptors_ = descriptors_of(os::open_files_max(), os::open_files());
        options_.connections_max = descriptors_.links_max;
    } else {
        descriptors_.links_max = options_.connections_max;
    }
    // Half of the descriptors are the connections' alone.
    const uint32_t files_max = std::max(1u, options_.connections_max / 4);
    body_spills_.limit({files_max, options_.limits.spilled_bytes_max}, &descriptors_);
    spills_.limit({files_max, 0}, &descriptors_);
    if (!ok()) return;
    if (!os::join_forks(*this))
        journal_.add(Severity::kError, "No memory to look after processes that are forked");
    if (!poller_.add_reader(wakeup_.reader(), kWakeupKey, false))
        say(Severity::kError, "epoll_ctl failed for the wake-up pipe");
    watch_relay();
    publish_load();
    if (!options_.nested) {
        start_standby();
    } else if (options_.limits.request_ms_max != 0) {
        start_watch();
    }
}

Engine::~Engine() {
    os::part_from_forks(*this);
    // In a child that the application forked there is no standby, and nothing here is ours.
    if (foreign_ || os::process_id() != owner_pid_) {
        if (standby_.joinable()) standby_.detach();
        if (watch_.joinable()) watch_.detach();
        [[maybe_unused]] Waits* left = waits_.release();
        return;
    }
    stop_standby();
    Lock lock(mutex_);
    flush_outbox();
    std::vector<Link*> open;
    links_.for_each([&](Link& link) { open.push_back(&link); });
    for (Link* link : open) close_link(*link);
    forget_released();
}

bool Engine::listen(int fd) {
    Lock lock(mutex_);
    uint64_t key = kListenerKey | listeners_.size();
    listeners_.push_back(fd);
    return poller_.add_reader(fd, key, options_.shared_listeners);
}

void Engine::look_at_clock() {
    now_us_ = base::monotonic_us();
    now_ms_ = now_us_ / 1'000;
}

session::Exchange* Engine::pop_ready() {
    if (foreign_ || insurance_.paid()) return nullptr;
    // What waits for any worker may have waited longer than what waits for this one.
    // Who leaves its siblings behind leaves it to them.
    if (relay_.pending() && busy_ < options_.slots && !full() && (!draining_ || for_good_))
        accept_relayed();
    while (ready_head_ != nullptr && busy_ < options_.slots) {
        session::Exchange* exchange = ready_head_;
        if (drop_queued(*exchange)) continue;
        unqueue(exchange);
        hand_out(*exchange);
        return exchange;
    }
    return nullptr;
}

void Engine::hand_out(session::Exchange& exchange) {
    exchange.next = nullptr;
    exchange.handed_out = true;
    exchange.thread = os::current_thread();
    exchange.dispatched_us = now_us_;
    ++busy_;
    ++epoch_;
    changed_ms_ = now_ms_;
    recorder_.dispatch(exchange, exchange.dispatched_us);
    arm_request(exchange);
    publish_load();
    if (standby_pace_ == StandbyPace::kDormant && standby_.joinable()) {
        standby_pace_ = StandbyPace::kSlow;
        standby_kick_.ring();
    }
    if (ready_head_ != nullptr && waiting_takers_ != 0) waits_->ready_or_seat.notify_one();
}

// What siblings go by when they have requests to spare.
void Engine::publish_load() {
    const uint32_t taken = full() ? options_.slots : busy_ + ready_count_;
    recorder_.publish_load(options_.slots, taken, !draining_ || for_good_);
}

session::Exchange* Engine::try_take() {
    Lock lock(mutex_);
    return look_due() ? nullptr : pop_ready();
}

session::Exchange* Engine::take(int timeout_ms, uint64_t wakes) {
    Lock lock(mutex_);
    session::Exchange* exchange = wait_for_request(lock, timeout_ms, wakes);
    pass_seat();
    return exchange;
}

session::Exchange* Engine::wait_for_request(Lock& lock, int timeout_ms, uint64_t wakes) {
    int64_t end_ms = timeout_ms < 0 ? INT64_MAX : base::monotonic_ms() + timeout_ms;
    bool last_round = false;
    while (!foreign_) {
        if (look_due()) look(lock);
        if (session::Exchange* exchange = pop_ready()) return exchange;
        if (last_round || wakes_ != wakes || hear_attention()) break;
        if (drain_complete() && !siblings_wait()) break;
        int64_t left_ms = timeout_ms < 0 ? -1 : std::max<int64_t>(0, end_ms - base::monotonic_ms());
        if (has_pilot_) {
            ++waiting_takers_;
            if (timeout_ms < 0) {
                waits_->ready_or_seat.wait(lock);
            } else {
                waits_->ready_or_seat.wait_for(lock, std::chrono::milliseconds(left_ms));
            }
            --waiting_takers_;
        } else if (!pilot(lock, static_cast<int>(left_ms))) {
            last_round = true;
        }
        if (timeout_ms >= 0 && base::monotonic_ms() >= end_ms) last_round = true;
    }
    return nullptr;
}

// Requests that are read as soon as their connection's last one is answered could fill the queue,
// and with it this thread, for ever: pipelined ones, and those that come while an application that
// is done still cleans up.
bool Engine::look_due() const {
    return ready_head_ != nullptr && !has_pilot_ && now_ms_ - looked_ms_ >= kLookMs;
}

// Between two requests: what waits in the kernel takes its place in the queue.
void Engine::look(Lock& lock) {
    pilot(lock, 0);
    if (warmup_ || resume_at_ms_ != 0) return;
    for (size_t i = 0; i < listeners_.size(); ++i) accept_from(i, true);
}

// One round in the pilot's seat. False: a signal interrupted the wait.
bool Engine::pilot(Lock& lock, int timeout_ms) {
    epoll_event events[kEventsMax];
    has_pilot_ = true;
    look_at_clock();
    watch_listeners();
    flush_held();
    flush_outbox();
    flush_access_log();
    int wait = wait_ms(timeout_ms);
    lock.unlock();
    int count = poller_.wait(events, wait);
    lock.lock();
    process(events, count);
    has_pilot_ = false;
    // Without a standby somebody else waits on our descriptor next.
    if (options_.nested) watch_listeners();
    return count >= 0;
}

void Engine::process(const epoll_event* events, int count) {
    look_at_clock();
    looked_ms_ = now_ms_;
    for (int i = 0; i < count; ++i) on_event(events[i]);
    // EPOLLEXCLUSIVE may have woken a sibling that had no slot left when it came to accept.
    bool lost = count == 0 && options_.shared_listeners && !listeners_paused_;
    for (size_t i = 0; lost && i < listeners_.size(); ++i) accept_from(i);
    expire_links();
    expire_requests();
    look_for_room();
    if (draining_) go_on_draining();
    forget_released();
    publish_load();
}

int Engine::wait_ms(int timeout_ms) const {
    int64_t wait = wheel_.sleep_ms(now_ms_);
    int64_t requests_wait = requests_.sleep_ms(now_ms_);
    if (requests_wait >= 0 && (wait < 0 || requests_wait < wait)) wait = requests_wait;
    if (timeout_ms >= 0 && (wait < 0 || timeout_ms < wait)) wait = timeout_ms;
    bool lines_wait = options_.access_log != nullptr && options_.access_log->waiting();
    if (resume_at_ms_ != 0 || draining_ || lines_wait || full() || watches_overdue())
        wait = wait < 0 ? 100 : std::min<int64_t>(wait, 100);
    return static_cast<int>(std::min<int64_t>(wait, 60'000));
}

void Engine::expire_links() {
    while (base::TimerNode* node = wheel_.expire(now_ms_)) {
        Link& link = static_cast<Link&>(*node);
        if (link.deadline_ms() > now_ms_) {
            rearm(link);
        } else if (link.socket) {
            expire_socket(link);
        } else {
            drive(link, link.connection.expire(now_ms_));
        }
    }
    if (resume_at_ms_ != 0 && now_ms_ >= resume_at_ms_) resume_listeners();
}

// Before a wait. The listeners are watched exactly while a slot is free: a worker that cannot serve
// leaves new connections to its siblings, and must not spin on a level that it does not act on.
void Engine::watch_listeners() {
    if (busy_ + ready_count_ >= options_.slots || full()) {
        pause_listeners();
    } else if (listeners_paused_ && resume_at_ms_ == 0) {
        resume_listeners();
    }
}

std::vector<JournalEntry> Engine::take_journal() {
    Lock lock(mutex_);
    std::vector<JournalEntry> entries = journal_.take();
    note_attention();
    return entries;
}

std::vector<Unrun> Engine::take_unrun() {
    Lock lock(mutex_);
    auto [entries, dropped] = unrun_.take();
    if (dropped != 0) {
        say(Severity::kWarning, std::to_string(dropped) +
                                    " access log lines of refused requests were dropped: too "
                                    "many at once");
    }
    note_attention();
    return std::move(entries);
}

std::vector<void*> Engine::take_released() {
    Lock lock(mutex_);
    std::vector<void*> owners = std::exchange(released_owners_, {});
    note_attention();
    return owners;
}

// The level sends one thread out of take(), not all of them one after the other: the rest goes on
// in the seat until somebody has acted.
bool Engine::hear_attention() { return needs_attention() && !std::exchange(heard_, true); }

void Engine::note_attention() {
    bool says = options_.runner_fd < 0 && (!journal_.empty() || !unrun_.empty());
    attention_.store(says || !released_owners_.empty(), std::memory_order_relaxed);
    heard_ = false;
}

void Engine::log(Severity severity, std::string text, Place where) {
    Lock lock(mutex_);
    say(severity, std::move(text), where);
}

void Engine::say(Severity severity, std::string text, Place where) {
    bool first = journal_.empty();
    journal_.add(severity, std::move(text), where);
    call_runner(first);
}

void Engine::call_runner(bool first) {
    if (options_.runner_fd < 0) {
        attention_.store(true, std::memory_order_relaxed);
        if (first && options_.nested && !in_turn_) wakeup_.ring();
    } else if (first) {
        os::ring(options_.runner_fd);
    }
}

board::Totals Engine::totals() { return recorder_.totals(); }

uint64_t Engine::connections_accepted() {
    Lock lock(mutex_);
    return connections_accepted_;
}

uint32_t Engine::connections() {
    Lock lock(mutex_);
    return links_.size();
}

void Engine::flush_access_log() {
    if (options_.access_log == nullptr || foreign_) return;
    options_.access_log->flush();
    watch_access_log();
}

// A log that is lost is said once, and its return, with what that has cost.
void Engine::watch_access_log() {
    const log::AccessLog& log = *options_.access_log;
    const int error = log.trouble();
    if (!access_log_lost_) {
        if (error == 0 && log.dropped() == lines_dropped_) return;
        access_log_lost_ = true;
        drops_said_ms_ = now_ms_;
        say(Severity::kError,
            std::string("The access log cannot be written: ") +
                (error != 0 ? std::strerror(error) : "nobody reads it") +
                ". What it has no room for is dropped, and counted, until it can");
    } else if (error == 0 && !log.waiting() && now_ms_ - drops_said_ms_ >= kDropsSayMs) {
        access_log_lost_ = false;
        say_drops("The access log is written again; ");
    }
}

void Engine::say_drops(std::string before) {
    const uint64_t dropped = options_.access_log->dropped();
    say(Severity::kWarning, std::move(before) + std::to_string(dropped - lines_dropped_) +
                                " access log lines were dropped");
    lines_dropped_ = dropped;
}

void Engine::close_access_log() {
    Lock lock(mutex_);
    if (options_.access_log == nullptr || foreign_) return;
    options_.access_log->close();
    if (options_.access_log->dropped() != lines_dropped_) say_drops("");
}

void Engine::reopen_access_log(int fd) {
    Lock lock(mutex_);
    if (options_.access_log == nullptr || foreign_) return;
    options_.access_log->flush();
    int error = 0;
    if (options_.access_log->reopen(error, fd)) return;
    say(Severity::kError,
        std::string("Cannot reopen the access log, going on with the old file: ") +
            std::strerror(error));
}

}  // namespace mono::engine
