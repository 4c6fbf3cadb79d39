// Links: the open connections of an engine: their table, their deadlines, what they take of the
// process's descriptors, and how they end. Owner: the Core, under its lock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "base/timer_wheel.hpp"
#include "engine/accept_policy.hpp"
#include "engine/pools.hpp"
#include "engine/spill_file.hpp"
#include "os/fd.hpp"
#include "os/poller.hpp"
#include "os/socket.hpp"
#include "session/connection.hpp"

namespace mono::engine {

struct Core;

class Links {
  public:
    explicit Links(Core& core);

    // A client of one of the listeners, or of the warm-up.
    void add(os::Fd fd, const os::PeerAddress& peer, size_t listener);
    // A connection that is driven by who adds it.
    Link& admit(os::Fd fd, session::PeerInfo peer);
    // A stream of a connection.
    Link& admit_stream(std::unique_ptr<StreamChannel> stream, Link& connection);
    void close(Link& link);
    // Somebody else goes on with it: nothing is said to the peer.
    void forget(Link& link);
    // The connection goes on without its exchange, or ends: the application keeps the exchange.
    void release_handed_out(Link& link);
    void on_event(const os::Ready& ready);

    // Into the poller. False: the link was closed.
    bool poll(Link& link);
    void poll_all();
    int64_t polled_ms() const { return polled_ms_; }  // when all were there

    void arm(Link& link, int64_t deadline_ms) { wheel_.arm(link, deadline_ms); }
    // One whose deadline has passed; nullptr: there is none.
    Link* expired(int64_t now_ms) { return static_cast<Link*>(wheel_.expire(now_ms)); }
    int64_t sleep_ms(int64_t now_ms) const { return wheel_.sleep_ms(now_ms); }

    Link* find(uint64_t key) { return table_.find(key); }
    uint32_t size() const { return table_.size(); }
    template <class Visit>
    void for_each(Visit visit) {
        table_.for_each(visit);
    }
    uint64_t accepted() const { return accepted_; }
    // Connections that wait for nothing but a next request, or linger too. False: none did.
    bool evict_idle(size_t most, bool lingering);
    // Out of descriptors: who costs the least makes room.
    void make_room();
    // With Options::clients_max, a worker leaves newcomers to its siblings.
    bool full() const { return clients_room() == 0; }
    uint32_t clients_room() const;
    // That connections and their files hold; of Options::connections_max.
    uint32_t descriptors() const { return descriptors_.taken(); }

    // Half of a crowd has left: what it took may go back to the system.
    bool trim_due() const { return peak_ >= kTrimmedFrom && table_.size() <= peak_ / 2; }
    void note_trimmed() { peak_ = table_.size(); }

    SpillFiles& body_spills() { return body_spills_; }      // of requests
    SpillFiles& output_spills() { return output_spills_; }  // of answers to slow readers

  private:
    static constexpr uint32_t kTrimmedFrom = 64;

    Core& core_;
    Descriptors descriptors_;
    SpillFiles body_spills_;
    SpillFiles output_spills_;
    http::RequestIdMaker ids_;
    std::optional<session::UwsgiReader> uwsgi_;
    session::ConnectionContext context_;
    LinkTable table_;
    base::TimerWheel wheel_;
    uint32_t peak_ = 0;      // since the heap was trimmed
    uint32_t streams_ = 0;   // of HTTP/2: links without a descriptor
    uint32_t unpolled_ = 0;  // links that are not in the poller
    int64_t polled_ms_ = 0;  // when there were none of them
    uint64_t accepted_ = 0;
};

}  // namespace mono::engine
