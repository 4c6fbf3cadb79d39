#include "engine/links.hpp"

#include <algorithm>

#include "base/clock.hpp"
#include "engine/core.hpp"
#include "os/process.hpp"

namespace mono::engine {

using session::Next;
using session::Phase;

namespace {

constexpr size_t kEvictedAtOnce = 16;
constexpr int64_t kHeadPatienceMs = 500;  // where others wait for the descriptor

// Some of them, and cuts the rest off.
std::vector<Link*>& longest_waiting(std::vector<Link*>& links, size_t most) {
    const size_t count = std::min(links.size(), most);
    const auto end = links.begin() + static_cast<std::ptrdiff_t>(count);
    std::partial_sort(links.begin(), end, links.end(), [](Link* left, Link* right) {
        return left->connection.deadline_ms() < right->connection.deadline_ms();
    });
    links.resize(count);
    return links;
}

}  // namespace

Links::Links(Core& core)
    : core_(core),
      body_spills_(core.options.limits.temp_directory),
      output_spills_(core.options.limits.temp_directory),
      ids_(os::random_number()),
      context_{core.options.limits,       core.exchanges, body_spills_, ids_, core.now.us,
               core.options.stream_bodies},
      wheel_(base::monotonic_ms()) {
    Options& options = core.options;
    if (options.limits.uwsgi_allow_ips)
        context_.uwsgi = &uwsgi_.emplace(*options.limits.uwsgi_allow_ips);
    if (options.connections_max == 0) {
        descriptors_ = descriptors_of(os::open_files_max(), os::open_files());
        options.connections_max = descriptors_.links_max;
    } else {
        descriptors_.links_max = options.connections_max;
    }
    // Half of the descriptors are the connections' alone.
    const uint32_t files_max = std::max(1u, options.connections_max / 4);
    body_spills_.limit({files_max, options.limits.spilled_bytes_max}, &descriptors_);
    output_spills_.limit({files_max, 0}, &descriptors_);
}

void Links::on_event(const os::Ready& ready) {
    const uint64_t key = ready.key;
    if (key == kWakeupKey) {
        core_.wakeup.drain();
        core_.rounds.note_wake();
        core_.waiters.takers().wake_all();
        return;
    }
    if (key == kWarmupKey) return core_.warmup.read();
    if (key == kRelayKey) {
        while (core_.slots.busy + core_.ready.size() < core_.options.slots && !full() &&
               core_.hand_off.accept()) {
        }
        return;
    }
    if ((key & kListenerKey) != 0) {
        core_.acceptor.accept_from(static_cast<size_t>(key & ~kListenerKey));
        return;
    }
    Link* link = table_.find(key);
    if (link == nullptr) return;  // closed earlier in this batch
    if (ready.error) {
        close(*link);
        return;
    }
    if (ready.hangup) link->eof = true;
    // Long polls and event streams live on being told; asyncio's servers do the same. And nobody
    // waits any more for a request that is still queued.
    const bool complete = link->connection.phase() == Phase::kReady;
    if (link->eof && complete &&
        (core_.options.stream_bodies || !link->connection.exchange()->handed_out)) {
        close(*link);
        return;
    }
    if (ready.readable) link->readable = true;
    if (ready.writable) link->blocked = false;
    core_.loop.drive(*link, Next::kRead);
}

void Links::add(os::Fd fd, const os::PeerAddress& peer, size_t listener) {
    session::PeerInfo info;
    info.host = peer.host;
    info.port = peer.port;
    info.listener = static_cast<uint16_t>(listener);
    info.trusted = core_.options.limits.trust.forwarded_allow_ips.contains(peer.host);
    Link& link = admit(std::move(fd), std::move(info));
    ++accepted_;
    core_.openings.begin(link);
    core_.loop.rearm(link);  // who never sends a byte has a deadline too
    // The request is often here already: then a short connection never enters the poller.
    link.readable = true;
    core_.loop.drive(link, Next::kRead);
}

Link& Links::admit(os::Fd fd, session::PeerInfo peer) {
    Link& link = table_.add(context_, std::move(fd), std::move(peer), core_.now.ms);
    ++descriptors_.links;
    ++unpolled_;
    peak_ = std::max(peak_, table_.size());
    return link;
}

Link& Links::admit_stream(std::unique_ptr<StreamChannel> stream, Link& connection) {
    Link& link = table_.add(context_, os::Fd(), connection.connection.peer(), core_.now.ms);
    link.stream = stream.get();
    link.transport.put_between(std::move(stream));
    link.polled = true;  // by the connection
    ++streams_;
    core_.loop.rearm(link);
    return link;
}

uint32_t Links::clients_room() const {
    const uint32_t most = core_.options.clients_max;
    return most == 0 ? UINT32_MAX : most - std::min(most, table_.size() - streams_);
}

bool Links::poll(Link& link) {
    if (link.polled) return true;
    if (!core_.poller.add_stream(link.transport.fd(), link.key)) {
        close(link);
        return false;
    }
    link.polled = true;
    --unpolled_;
    return true;
}

void Links::poll_all() {
    polled_ms_ = core_.now.ms;
    if (unpolled_ != 0) table_.for_each([&](Link& link) { poll(link); });
}

bool Links::evict_idle(size_t most, bool lingering) {
    std::vector<Link*> idle;
    table_.for_each([&](Link& link) {
        if (link.stream != nullptr) return;
        const bool lingers = lingering && link.connection.phase() == Phase::kLinger;
        if (link.idle() || lingers) idle.push_back(&link);
    });
    for (Link* link : longest_waiting(idle, most)) close(*link);
    return !idle.empty();
}

// Out of descriptors: idle connections make room. Where there are none, heads that do not come to
// an end do, or a few slow senders would hold all there is.
void Links::make_room() {
    if (evict_idle(kEvictedAtOnce, true)) return;
    std::vector<Link*> slow;
    table_.for_each([&](Link& link) {
        const bool half = link.connection.phase() == Phase::kHead;
        const int64_t began_us = half ? link.connection.exchange()->accepted_us : core_.now.us;
        if (core_.now.us - began_us >= kHeadPatienceMs * 1'000) slow.push_back(&link);
    });
    // They do not linger either: all that they have sent has been read.
    for (Link* link : longest_waiting(slow, kEvictedAtOnce)) {
        const bool open = core_.loop.drive(*link, link->connection.expire(core_.now.ms));
        if (open && link->connection.phase() == Phase::kLinger) close(*link);
    }
}

void Links::release_handed_out(Link& link) {
    session::Exchange* exchange = link.connection.exchange();
    if (exchange == nullptr || !exchange->handed_out) return;
    link.connection.detach_exchange();
    exchange->link = nullptr;
    core_.recorder.lose_client(*exchange);
    bool interrupted = exchange->lateness != session::Exchange::Lateness::kNone &&
                       core_.options.overdue_signal != 0;
    core_.turns.note(exchange, interrupted ? EventKind::kLate : EventKind::kGone);
    core_.waiters.readers().wake_all();
}

void Links::close(Link& link) {
    if (link.multiplexer) link.multiplexer->close_streams();
    core_.outgoing.unhold(link);
    session::Exchange* exchange = link.connection.exchange();
    if (exchange != nullptr && exchange->handed_out) {
        exchange->delivered = exchange->response.whole() && link.all_sent() && !link.boxed;
        // The application was not done: without a length, only a reset tells the client so.
        if (exchange->response.close_delimited()) {
            if (exchange->delivered)
                link.transport.reset_on_close(false);
            else
                link.transport.reset();
        }
        release_handed_out(link);
    } else if (exchange != nullptr && (link.connection.phase() == Phase::kReady ||
                                       link.connection.phase() == Phase::kStream)) {
        core_.ready.remove(*exchange);
        core_.recorder.end(*exchange, Ending::kAborted);
    } else if (exchange != nullptr && link.connection.phase() == Phase::kFlush) {
        // The end of a close-delimited answer is a FIN: cut short, it must not look whole.
        bool cut = link.connection.broken_reply() || link.boxed || !link.all_sent();
        if (cut && exchange->response.close_delimited()) link.transport.reset();
        core_.answers.note_finished(link, !cut);
    }
    if (!link.given_away) {
        link.transport.say_end();
        // The last close() of a connection sends the FIN, and here it may not be the last.
        if (core_.process.has_children) link.transport.end_both();
    }
    if (link.boxed) core_.outbox.drop(link);
    link.connection.out.clear(core_.released);
    forget(link);
    core_.waiters.writers().wake_all();
    if (core_.listeners.resting()) core_.acceptor.resume();
}

void Links::forget(Link& link) {
    wheel_.cancel(link);
    if (!link.polled) --unpolled_;
    if (link.stream != nullptr)
        --streams_;
    else
        --descriptors_.links;
    table_.remove(link);
    if (trim_due() && core_.io_thread.runs()) core_.io_thread.hurry();
}

}  // namespace mono::engine
