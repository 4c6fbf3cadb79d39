// FdChannel: messages with descriptors between the processes of one server, over a
// SOCK_SEQPACKET pair that all of them hold (SCM_RIGHTS, unix(7)). Nothing here waits.
// The descriptors of the pair are the caller's. send_packet is async-signal-safe.
#pragma once

#include <sys/uio.h>

#include <span>

#include "os/fd.hpp"

namespace mono::os {

constexpr int kPacketFdsMax = 2;

// All or nothing. False: no room, no reader, or too large.
[[nodiscard]] bool send_packet(int channel, std::span<const iovec> parts, std::span<const int> fds);

struct Packet {
    size_t bytes = 0;  // 0: none was there
    Fd fds[kPacketFdsMax];
};
Packet receive_packet(int channel, std::span<char> into);

}  // namespace mono::os
