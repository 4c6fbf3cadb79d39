#include "log/access_log.hpp"

#include <algorithm>
#include <cstring>

#include "base/clock.hpp"

namespace mono::log {
namespace {

int inherited_fd(std::string_view path) {
    if (path == "-" || path == "/dev/stdout") return 1;
    if (path == "/dev/stderr") return 2;
    return -1;
}

}  // namespace

base::Result<std::unique_ptr<AccessLog>> AccessLog::open(AccessLogOptions options,
                                                         AccessFormat format) {
    const int inherited = inherited_fd(options.path);
    os::Fd fd;
    bool may_wait = false;
    int error = 0;
    if (inherited < 0) {
        fd = options.fd < 0 ? os::open_append(options.path, error) : os::duplicate(options.fd);
        if (options.fd >= 0) error = errno;
    } else {
        const bool stream = os::sink_kind(inherited) == os::SinkKind::kStream;
        if (stream) fd = os::reopen_nonblocking(inherited);
        may_wait = stream && !fd;
        if (!fd) fd = os::duplicate(inherited);
        error = errno;
    }
    if (!fd) {
        return base::Failure{"accesslog: cannot open " + options.path + ": " +
                             std::strerror(error) + "."};
    }
    return std::unique_ptr<AccessLog>(
        new AccessLog(std::move(options), std::move(format), std::move(fd), may_wait));
}

AccessLog::AccessLog(AccessLogOptions options, AccessFormat format, os::Fd fd, bool may_wait)
    : options_(std::move(options)),
      format_(std::move(format)),
      sink_(std::make_shared<LogSink>()),
      next_flush_at_(options_.flush_bytes) {
    sink_->kind = os::sink_kind(fd.get());
    sink_->fd = std::move(fd);
    if (may_wait) start_writer();
}

AccessLog::~AccessLog() { drain(kDrainMs); }

void AccessLog::append(const AccessRecord& record) {
    if (backlog_bytes() >= options_.backlog_bytes_max) {
        dropped_.fetch_add(1, std::memory_order_relaxed);
        return;
    }
    format_.format(record, buffer_);
    if (buffer_.size() >= next_flush_at_) flush();
}

void AccessLog::flush() {
    if (buffer_.empty()) return;
    if (writer_) {
        writer_->push(std::string_view(buffer_).substr(written_));
        written_ = buffer_.size();
    } else {
        write_buffer();
    }
    compact();
    // While the sink takes nothing, append() tries once in flush_bytes, not at every line.
    next_flush_at_ = buffer_.size() + options_.flush_bytes;
}

void AccessLog::write_buffer() {
    const int64_t before_us = base::monotonic_us();
    while (written_ < buffer_.size()) {
        const std::string_view rest = std::string_view(buffer_).substr(written_);
        const os::SinkResult result =
            os::write_sink(sink_->fd.get(), sink_->kind, whole_lines(rest, sink_->kind));
        take(result);
        if (result.status != os::SinkStatus::kDone) break;
    }
    const bool file = sink_->kind == os::SinkKind::kFile;
    if (file && base::monotonic_us() - before_us > kSlowWriteUs) start_writer();
}

void AccessLog::take(os::SinkResult result) {
    written_ += result.bytes;
    if (result.status != os::SinkStatus::kAgain) trouble_ = result.error;
    if (result.status != os::SinkStatus::kBroken) return;
    const uint64_t lost = count_lines(std::string_view(buffer_).substr(written_));
    dropped_.fetch_add(lost, std::memory_order_relaxed);
    written_ = buffer_.size();
}

void AccessLog::compact() {
    if (written_ == buffer_.size()) {
        // After a jam the memory goes back: a worker's size is a promise too.
        if (buffer_.capacity() > 4 * options_.flush_bytes) std::string().swap(buffer_);
        buffer_.clear();
        written_ = 0;
    } else if (written_ > buffer_.size() / 2) {
        buffer_.erase(0, written_);
        written_ = 0;
    }
}

void AccessLog::start_writer() { writer_ = std::make_unique<LogWriter>(sink_); }

size_t AccessLog::backlog_bytes() const {
    return buffer_.size() - written_ + (writer_ ? writer_->backlog_bytes() : 0);
}

bool AccessLog::reopen(int& error, int fd) {
    error = 0;
    if (inherited_fd(options_.path) >= 0) return true;
    flush();
    const os::Fd fresh = fd < 0 ? os::open_append(options_.path, error) : os::duplicate(fd);
    if (!fresh) {
        if (fd >= 0) error = errno;
        return false;
    }
    if (!os::replace(sink_->fd.get(), fresh)) {
        error = errno;
        return false;
    }
    sink_->kind = os::sink_kind(fresh.get());
    flush();
    return true;
}

bool AccessLog::drain(int timeout_ms) {
    const int64_t deadline_ms = base::monotonic_ms() + timeout_ms;
    flush();
    while (!writer_ && waiting()) {
        const int64_t left_ms = deadline_ms - base::monotonic_ms();
        if (left_ms <= 0 || !os::wait_writable(sink_->fd.get(), static_cast<int>(left_ms))) break;
        const size_t before = backlog_bytes();
        flush();
        // Writable yet nothing taken: the disk is full, and waiting will not empty it.
        if (backlog_bytes() == before && sink_->kind == os::SinkKind::kFile) break;
    }
    if (!writer_) return !waiting();
    flush();
    const int64_t left_ms = std::max<int64_t>(deadline_ms - base::monotonic_ms(), 0);
    return writer_->wait_idle(static_cast<int>(left_ms));
}

void AccessLog::close() {
    if (drain(kDrainMs)) return;
    const uint64_t left = writer_ ? writer_->lines_waiting()
                                  : count_lines(std::string_view(buffer_).substr(written_));
    dropped_.fetch_add(left, std::memory_order_relaxed);
    buffer_.clear();
    written_ = 0;
}

int AccessLog::trouble() const { return writer_ ? writer_->trouble() : trouble_; }

uint64_t AccessLog::dropped() const {
    return dropped_.load(std::memory_order_relaxed) + (writer_ ? writer_->dropped() : 0);
}

}  // namespace mono::log
