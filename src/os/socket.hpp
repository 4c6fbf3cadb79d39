// Stream sockets: accept, transfer, close. Thin wrappers that turn errno into one enum.
// Thread-safe as the kernel is; the engine calls them under its lock.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <span>
#include <string>

#include "os/fd.hpp"

namespace mono::os {

enum class IoStatus : uint8_t {
    kDone,    // `bytes` were moved
    kAgain,   // nothing possible now
    kEof,     // the peer sent FIN
    kBroken,  // reset, broken pipe, timed out: the connection is dead
};

struct IoResult {
    IoStatus status = IoStatus::kDone;
    size_t bytes = 0;
};

struct StreamPair {
    Fd left, right;
};
// Two connected stream sockets, non-blocking; empty: errno.
StreamPair stream_pair();

struct PeerAddress {
    std::string host;  // textual IP; empty for unix sockets
    uint16_t port = 0;
};

enum class AcceptStatus : uint8_t {
    kAccepted,
    kAgain,          // nobody is waiting (or the peer has gone already)
    kNoDescriptors,  // EMFILE, ENFILE, ENOBUFS, ENOMEM: try again later
    kBroken,         // the listener itself is unusable
};

struct Accepted {
    AcceptStatus status = AcceptStatus::kAgain;
    Fd fd;
    PeerAddress peer;
};

// A listening TCP socket on 127.0.0.1, non-blocking; port 0 becomes the chosen one. Empty: errno.
Fd listen_loopback(uint16_t& port);
// sendfile(2) knows no MSG_NOSIGNAL. Python ignores SIGPIPE by itself; call once where it is not.
void ignore_broken_pipes();
Accepted accept_stream(int listener);
// TCP listeners: connections are accepted when they stand, not when their first bytes come.
void accept_at_once(int listener);
// Whether the peer has closed its side, or the connection is broken.
bool has_hung_up(int fd);
IoResult receive(int fd, std::span<char> into);
// What receive() would give, which stays where it is.
IoResult peek(int fd, std::span<char> into);
IoResult send_vectors(int fd, const iovec* vectors, int count);
IoResult send_bytes(int fd, const char* bytes, size_t length);
// From a file, without touching its offset.
IoResult send_file(int fd, int file, uint64_t offset, uint64_t length);
void shutdown_write(int fd);
// FIN now, whoever else holds the connection.
void shutdown_both(int fd);
// From now on close(), and so the end of the process however it comes, sends RST instead of FIN:
// the peer shall not take the answer for whole. TCP only.
void reset_on_close(int fd, bool reset);
// RST now, whoever else holds the connection. TCP only.
void reset(int fd);

}  // namespace mono::os
