// Transport: how a connection's bytes come and go. Most are plain: the bytes are what goes through
// the descriptor. Else a Channel stands between the two (TLS), or in the descriptor's place.
// Whoever needs the descriptor itself asks for bare_fd(): the hand-off to a sibling, the crash
// responder, the outbox, sendfile, an application that takes the connection over.
// Owner: a Link, under the engine's lock.
#pragma once

#include <sys/uio.h>

#include <cstdint>
#include <memory>
#include <span>
#include <utility>

#include "os/fd.hpp"
#include "os/socket.hpp"

namespace mono::engine {

// Same meaning of results as os/socket.hpp: kAgain waits for the descriptor's next event.
class Channel {
  public:
    virtual ~Channel() = default;
    // As much as fits, or is there.
    [[nodiscard]] virtual os::IoResult receive(std::span<char> into) = 0;
    // As much as is taken; part of it may still have to leave: unsent().
    [[nodiscard]] virtual os::IoResult send(const iovec* parts, int count) = 0;
    virtual bool unsent() const = 0;
    // Sends what is unsent. kDone: some of it has left.
    [[nodiscard]] virtual os::IoResult flush() = 0;
    // The last that the peer hears of us, as far as the kernel takes it at once.
    virtual void say_end() = 0;
};

class Transport {
  public:
    explicit Transport(os::Fd fd) : fd_(std::move(fd)) {}

    void put_between(std::unique_ptr<Channel> channel) { channel_ = std::move(channel); }
    // From now on the bytes are plain.
    void strip() { channel_.reset(); }
    Channel* channel() const { return channel_.get(); }

    // What the poller watches.
    int fd() const { return fd_.get(); }
    // -1: bytes may not be written to the descriptor, or read from it, by anybody else.
    int bare_fd() const { return channel_ ? -1 : fd_.get(); }

    [[nodiscard]] os::IoResult receive(std::span<char> into) const {
        return channel_ ? channel_->receive(into) : os::receive(fd_.get(), into);
    }
    [[nodiscard]] os::IoResult send(const iovec* parts, int count) const {
        return channel_ ? channel_->send(parts, count) : os::send_vectors(fd_.get(), parts, count);
    }
    [[nodiscard]] os::IoResult send(const char* bytes, size_t length) const;
    // Of a regular file; its offset is not touched.
    [[nodiscard]] os::IoResult send_file(int file, uint64_t offset, uint64_t length) const;
    bool unsent() const { return channel_ && channel_->unsent(); }
    [[nodiscard]] os::IoResult flush() const {
        return channel_ ? channel_->flush() : os::IoResult{};
    }

    // FIN: our half is said.
    void end_output() const;
    // The connection is about to be closed.
    void say_end() const {
        if (channel_) channel_->say_end();
    }
    // As in os/socket.hpp.
    void reset_on_close(bool reset) const { os::reset_on_close(fd_.get(), reset); }
    void reset() const { os::reset(fd_.get()); }
    void end_both() const { os::shutdown_both(fd_.get()); }

  private:
    os::Fd fd_;
    std::unique_ptr<Channel> channel_;
};

}  // namespace mono::engine
