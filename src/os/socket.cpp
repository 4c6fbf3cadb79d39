#include "os/socket.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>

#include <cerrno>
#include <csignal>

namespace mono::os {
namespace {

IoResult result_of(ssize_t moved) {
    if (moved > 0) return {IoStatus::kDone, static_cast<size_t>(moved)};
    if (moved == 0) return {IoStatus::kEof, 0};
    if (errno == EAGAIN || errno == EINTR) return {IoStatus::kAgain, 0};
    return {IoStatus::kBroken, 0};
}

PeerAddress address_of(const sockaddr_storage& storage) {
    char text[INET6_ADDRSTRLEN] = "";
    if (storage.ss_family == AF_INET) {
        const auto& address = reinterpret_cast<const sockaddr_in&>(storage);
        inet_ntop(AF_INET, &address.sin_addr, text, sizeof text);
        return {text, ntohs(address.sin_port)};
    }
    if (storage.ss_family == AF_INET6) {
        const auto& address = reinterpret_cast<const sockaddr_in6&>(storage);
        inet_ntop(AF_INET6, &address.sin6_addr, text, sizeof text);
        return {text, ntohs(address.sin6_port)};
    }
    return {};
}

AcceptStatus accept_failure() {
    switch (errno) {
        case EMFILE:
        case ENFILE:
        case ENOBUFS:
        case ENOMEM:
            return AcceptStatus::kNoDescriptors;
        case EBADF:
        case EINVAL:
        case ENOTSOCK:
        case EOPNOTSUPP:
            return AcceptStatus::kBroken;
        default:  // EAGAIN, ECONNABORTED and the network errors of accept(2)
            return AcceptStatus::kAgain;
    }
}

}  // namespace

Fd listen_loopback(uint16_t& port) {
    Fd listener(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    const int on = 1;
    setsockopt(listener.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    setsockopt(listener.get(), IPPROTO_TCP, TCP_NODELAY, &on,
               sizeof on);  // accepted ones inherit it
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof address;
    auto* plain = reinterpret_cast<sockaddr*>(&address);
    if (bind(listener.get(), plain, length) != 0 || ::listen(listener.get(), SOMAXCONN) != 0 ||
        getsockname(listener.get(), plain, &length) != 0)
        return {};
    port = ntohs(address.sin_port);
    return listener;
}

StreamPair stream_pair() {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) return {};
    return {Fd(ends[0]), Fd(ends[1])};
}

void ignore_broken_pipes() { std::signal(SIGPIPE, SIG_IGN); }

Accepted accept_stream(int listener) {
    sockaddr_storage storage{};
    socklen_t length = sizeof storage;
    Accepted accepted;
    int fd = accept4(listener, reinterpret_cast<sockaddr*>(&storage), &length,
                     SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        accepted.status = accept_failure();
        return accepted;
    }
    accepted.status = AcceptStatus::kAccepted;
    accepted.fd.reset(fd);
    accepted.peer = address_of(storage);
    return accepted;
}

void accept_at_once(int listener) {
    const int seconds = 0;
    setsockopt(listener, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof seconds);
}

bool has_hung_up(int fd) {
    pollfd watched{fd, POLLRDHUP, 0};
    return poll(&watched, 1, 0) > 0;
}

IoResult receive(int fd, std::span<char> into) {
    return result_of(recv(fd, into.data(), into.size(), 0));
}

IoResult peek(int fd, std::span<char> into) {
    return result_of(recv(fd, into.data(), into.size(), MSG_PEEK));
}

IoResult send_vectors(int fd, const iovec* vectors, int count) {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(vectors);
    message.msg_iovlen = static_cast<size_t>(count);
    return result_of(sendmsg(fd, &message, MSG_NOSIGNAL));
}

IoResult send_bytes(int fd, const char* bytes, size_t length) {
    return result_of(send(fd, bytes, length, MSG_NOSIGNAL));
}

IoResult send_file(int fd, int file, uint64_t offset, uint64_t length) {
    constexpr uint64_t kOnce = 1 << 20;  // one reader shall not hold the engine for long
    auto position = static_cast<off_t>(offset);
    return result_of(sendfile(fd, file, &position, length < kOnce ? length : kOnce));
}

void shutdown_write(int fd) { ::shutdown(fd, SHUT_WR); }

void shutdown_both(int fd) { ::shutdown(fd, SHUT_RDWR); }

void reset_on_close(int fd, bool reset) {
    linger abort_now{reset ? 1 : 0, 0};
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &abort_now, sizeof abort_now);
}

void reset(int fd) {
    reset_on_close(fd, true);
    // Dissolves the association (connect(2)): tcp_disconnect sends the RST.
    sockaddr nobody{};
    nobody.sa_family = AF_UNSPEC;
    ::connect(fd, &nobody, sizeof nobody);
}

}  // namespace mono::os
