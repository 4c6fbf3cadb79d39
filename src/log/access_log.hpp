// AccessLog: the access log of one worker: formatted lines in a bounded buffer, and the sink they
// go to. Created after fork; called by one thread at a time (the engine's leader).
//
// Invariant: no call waits for the sink's reader. How, by sink:
// - a path: opened non-blocking, a description of our own;
// - an inherited pipe or terminal ("-"): opened again through /proc, which gives a non-blocking
//   description of our own; O_NONBLOCK on the inherited one would hit every process sharing it;
// - an inherited socket: each send is non-blocking by itself;
// - where that is refused (a pipe of another user, no /proc), or when a write to a file has taken
//   longer than kSlowWriteUs once: a LogWriter thread, started only then, because the hand-over
//   costs more than the write and most logs never need it.
// Lines that cannot be written are kept up to backlog_bytes_max; newer ones are dropped, counted.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "log/access_format.hpp"
#include "log/log_writer.hpp"

namespace mono::log {

struct AccessLogOptions {
    std::string path;                        // "-", /dev/stdout: fd 1; /dev/stderr: fd 2
    int fd = -1;                             // who opened the path for us; its owner closes it
    size_t flush_bytes = size_t{32} * 1024;  // append() flushes by itself from here on
    size_t backlog_bytes_max = size_t{1024} * 1024;
};

class AccessLog {
  public:
    static constexpr int64_t kSlowWriteUs = 20'000;
    static constexpr int kDrainMs = 500;

    // Fails with a sentence when the file cannot be opened.
    static base::Result<std::unique_ptr<AccessLog>> open(AccessLogOptions options,
                                                         AccessFormat format);
    ~AccessLog();  // drains for kDrainMs at most
    AccessLog(const AccessLog&) = delete;
    AccessLog& operator=(const AccessLog&) = delete;

    void append(const AccessRecord& record);

    // Hands the buffered lines to the kernel: one write to a file; to a pipe, whole lines in
    // pieces that the kernel keeps in one (PIPE_BUF). Once a turn of the engine.
    void flush();

    // Lines are waiting for room: call flush() again in a while even if no request comes.
    bool waiting() const { return backlog_bytes() != 0; }

    // For USR1: what is behind `fd`, -1: the file by that name, anew. False: the old one stays in
    // use, errno in `error`.
    [[nodiscard]] bool reopen(int& error, int fd = -1);

    // Flushes until all is written or the time is over.
    bool drain(int timeout_ms);

    // Drains for kDrainMs at most; what is left then counts as dropped, and is forgotten.
    void close();

    // Lines lost since the start.
    uint64_t dropped() const;
    // errno of why the sink takes no lines: a full disk, a reader that has gone; 0: it takes them,
    // or its reader is merely slow.
    int trouble() const;
    bool threaded() const { return writer_ != nullptr; }

  private:
    AccessLog(AccessLogOptions options, AccessFormat format, os::Fd fd, bool may_wait);

    size_t backlog_bytes() const;
    void write_buffer();
    void take(os::SinkResult result);
    void compact();
    void start_writer();

    AccessLogOptions options_;
    AccessFormat format_;
    std::shared_ptr<LogSink> sink_;
    std::unique_ptr<LogWriter> writer_;
    std::string buffer_;
    size_t written_ = 0;        // of buffer_, from its beginning
    size_t next_flush_at_ = 0;  // size of buffer_ at which append() flushes
    std::atomic<uint64_t> dropped_ = 0;
    int trouble_ = 0;
};

}  // namespace mono::log
