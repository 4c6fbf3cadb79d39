#include "os/fd_channel.hpp"

#include <sys/socket.h>

#include <cstring>

namespace mono::os {
namespace {

constexpr size_t kControlBytes = CMSG_SPACE(kPacketFdsMax * sizeof(int));

}  // namespace

bool send_packet(int channel, std::span<const iovec> parts, std::span<const int> fds) {
    alignas(cmsghdr) char control[kControlBytes] = {};
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(parts.data());
    message.msg_iovlen = parts.size();
    if (!fds.empty()) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(fds.size_bytes());
        cmsghdr* header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(fds.size_bytes());
        std::memcpy(CMSG_DATA(header), fds.data(), fds.size_bytes());
    }
    return sendmsg(channel, &message, MSG_DONTWAIT | MSG_NOSIGNAL) > 0;
}

Packet receive_packet(int channel, std::span<char> into) {
    alignas(cmsghdr) char control[kControlBytes] = {};
    iovec part{into.data(), into.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    ssize_t got = recvmsg(channel, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    Packet packet;
    if (got <= 0) return packet;
    for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
         header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS) continue;
        size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count && i < kPacketFdsMax; ++i) {
            int fd;
            std::memcpy(&fd, CMSG_DATA(header) + i * sizeof fd, sizeof fd);
            packet.fds[i].reset(fd);
        }
    }
    packet.bytes = (message.msg_flags & MSG_TRUNC) != 0 ? 0 : static_cast<size_t>(got);
    return packet;
}

}  // namespace mono::os
