#include "engine/listeners.hpp"

#include <algorithm>

#include "engine/link.hpp"

namespace mono::engine {

bool Listeners::add(int fd) {
    fds_.push_back(fd);
    return watch(fds_.size() - 1);
}

bool Listeners::watch(size_t index) {
    return poller_.add_reader(fds_[index], kListenerKey | index, shared_);
}

bool Listeners::pause() {
    if (paused_) return false;
    paused_ = true;
    for (int fd : fds_) poller_.remove(fd);
    return true;
}

bool Listeners::resume() {
    if (!paused_) return true;
    paused_ = false;
    bool all = true;
    for (size_t i = 0; i < fds_.size(); ++i) all &= watch(i);
    return all;
}

bool Listeners::anybody_waits() const {
    return std::any_of(fds_.begin(), fds_.end(),
                       [](int fd) { return os::wait_readable(fd, -1, 0); });
}

}  // namespace mono::engine
