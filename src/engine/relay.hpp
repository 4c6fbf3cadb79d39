// Relay: how a complete request gets from a worker that has no free slot to a sibling that has one:
// connection and bytes, in one packet over a socket pair that all workers of a server hold. What
// nobody has taken yet waits in the kernel, and is not lost with the worker that sent it.
// Owner: one engine, under its lock. `pack` and `send` are async-signal-safe: the crash handler
// sends what had not reached the application (insurance.cpp).
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string_view>

#include "engine/link.hpp"
#include "os/fd.hpp"
#include "session/exchange.hpp"
#include "session/limits.hpp"

namespace mono::engine {

// Ends of the pair; the caller's. -1: there is no relay.
struct RelayEnds {
    int sender = -1;
    int receiver = -1;
};

// A request on its way; views are valid until the next receive().
struct Parcel {
    os::Fd client;
    os::Fd body_file;
    uint64_t body_file_bytes = 0;
    session::PeerInfo peer;
    std::string_view head;
    std::string_view body;
    std::string_view pipelined;
    std::string_view id;
    int64_t balancer_us = 0;
    int64_t accepted_us = 0;
    int64_t started_us = 0;
    int64_t ready_us = 0;
};

enum class Handover : uint8_t {
    kDone,
    kUnfit,  // this one cannot go
    kFull,   // none can, before somebody has taken the last ones
};

// With folded fields (changed in place), a 100 Continue on its way, keys that a sibling does not
// have (TLS), or what a proxy said beside the head (uwsgi), a connection stays where it is.
inline bool may_move(const Link& link, const session::Limits& limits) {
    return link.transport.bare_fd() >= 0 && link.connection.out.empty() &&
           !limits.head.permit_obsolete_folding && !limits.uwsgi_allow_ips;
}

class Relay {
  public:
    // parcels: how many are on their way, of all workers together; nullptr without ends.
    Relay(RelayEnds ends, std::atomic<int32_t>* parcels) : ends_(ends), parcels_(parcels) {}

    bool open() const { return ends_.sender >= 0; }
    // Whether receive() is worth a system call.
    bool pending() const { return open() && parcels_->load(std::memory_order_relaxed) > 0; }
    int receiver() const { return ends_.receiver; }

    // The link's request, with what has come behind it and whom the connection is from: who the
    // client is, where a proxy says so, is read again there.
    [[nodiscard]] Handover send(const session::Exchange& exchange, const Link& link) const;
    std::optional<Parcel> receive();

  private:
    static constexpr size_t kPacketBytesMax = 160 * 1024;  // well below the least send buffer

    RelayEnds ends_;
    std::atomic<int32_t>* parcels_;
    std::unique_ptr<char[]> buffer_;  // kPacketBytesMax, from the first parcel on
};

}  // namespace mono::engine
