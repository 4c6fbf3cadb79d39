#include "os/poller.hpp"

#include <poll.h>
#include <sys/epoll.h>
#include <time.h>

#include <algorithm>
#include <cstddef>

#include "os/files.hpp"

namespace mono::os {

namespace {

epoll_event stream_event(uint64_t key) {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
    event.data.u64 = key;
    return event;
}

}  // namespace

Poller::Poller() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {}

bool Poller::add_stream(int fd, uint64_t key) {
    epoll_event event = stream_event(key);
    return epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

bool Poller::remind(int fd, uint64_t key) {
    epoll_event event = stream_event(key);
    return epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event) == 0;
}

bool Poller::add_reader(int fd, uint64_t key, bool exclusive) {
    epoll_event event{};
    event.events = EPOLLIN;
    if (exclusive) event.events |= EPOLLEXCLUSIVE;
    event.data.u64 = key;
    return epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

void Poller::remove(int fd) { epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr); }

void Poller::renew() {
    const Fd fresh(epoll_create1(EPOLL_CLOEXEC));
    if (!replace(epoll_.get(), fresh)) epoll_.reset();
}

int Poller::wait(std::span<Ready> ready, int timeout_ms) {
    epoll_event events[kBatch];
    const int most = static_cast<int>(std::min<size_t>(ready.size(), kBatch));
    const int count = epoll_wait(epoll_.get(), events, most, timeout_ms);
    for (int i = 0; i < count; ++i) {
        const uint32_t told = events[i].events;
        const bool hangup = (told & (EPOLLRDHUP | EPOLLHUP)) != 0;
        ready[static_cast<size_t>(i)] = {.key = events[i].data.u64,
                                         .readable = hangup || (told & EPOLLIN) != 0,
                                         .writable = (told & EPOLLOUT) != 0,
                                         .hangup = hangup,
                                         .error = (told & EPOLLERR) != 0};
    }
    return count;
}

bool wait_readable(int poll_fd, int kick_fd, int timeout_ms) {
    pollfd fds[2] = {{poll_fd, POLLIN, 0}, {kick_fd, POLLIN, 0}};
    return poll(fds, 2, timeout_ms) > 0 && (fds[0].revents & POLLIN) != 0;
}

void pause_ms(int duration_ms) {
    timespec duration{0, duration_ms * 1'000'000};
    nanosleep(&duration, nullptr);
}

}  // namespace mono::os
