// AccessLogWatch: the access log of an engine, and what is said when it can no longer be written:
// once, and at its return what that has cost. Owner: one engine, under its lock.
#pragma once

#include <cstdint>
#include <string>

#include "engine/notices.hpp"
#include "log/access_log.hpp"

namespace mono::engine {

class AccessLogWatch {
  public:
    // nullptr: there is no access log. Both outlive this.
    AccessLogWatch(log::AccessLog* log, Notices& notices) : log_(log), notices_(notices) {}

    bool present() const { return log_ != nullptr; }
    // Lines wait for room in the file or pipe.
    bool waiting() const { return log_ != nullptr && log_->waiting(); }
    void append(const log::AccessRecord& record) { log_->append(record); }
    void flush(int64_t now_ms);
    // Waits a moment for room, and tells how many lines found none.
    void close();
    // fd -1: under the same name.
    void reopen(int fd);
    // In a process that the application forked: the lines are its parent's.
    void forget() { log_ = nullptr; }

  private:
    void say_drops(std::string before);

    log::AccessLog* log_;
    Notices& notices_;
    uint64_t dropped_ = 0;  // as told so far
    int64_t said_ms_ = 0;
    bool lost_ = false;  // and that was said
};

}  // namespace mono::engine
