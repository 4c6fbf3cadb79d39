#include "engine/access_log_watch.hpp"

#include <cstring>

namespace mono::engine {
namespace {

constexpr int64_t kSayMs = 1'000;  // a line in the error log, no flood

}  // namespace

void AccessLogWatch::flush(int64_t now_ms) {
    if (log_ == nullptr) return;
    log_->flush();
    const int error = log_->trouble();
    if (!lost_) {
        if (error == 0 && log_->dropped() == dropped_) return;
        lost_ = true;
        said_ms_ = now_ms;
        notices_.say(Severity::kError,
                     std::string("The access log cannot be written: ") +
                         (error != 0 ? std::strerror(error) : "nobody reads it") +
                         ". What it has no room for is dropped, and counted, until it can");
    } else if (error == 0 && !log_->waiting() && now_ms - said_ms_ >= kSayMs) {
        lost_ = false;
        say_drops("The access log is written again; ");
    }
}

void AccessLogWatch::say_drops(std::string before) {
    const uint64_t dropped = log_->dropped();
    notices_.say(Severity::kWarning, std::move(before) + std::to_string(dropped - dropped_) +
                                         " access log lines were dropped");
    dropped_ = dropped;
}

void AccessLogWatch::close() {
    if (log_ == nullptr) return;
    log_->close();
    if (log_->dropped() != dropped_) say_drops("");
}

void AccessLogWatch::reopen(int fd) {
    if (log_ == nullptr) return;
    log_->flush();
    int error = 0;
    if (log_->reopen(error, fd)) return;
    notices_.say(Severity::kError,
                 std::string("Cannot reopen the access log, going on with the old file: ") +
                     std::strerror(error));
}

}  // namespace mono::engine
