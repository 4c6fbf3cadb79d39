// LogWriter: a thread that writes log lines where the worker itself must not wait: an inherited
// pipe that cannot be made non-blocking, or a disk that has been slow. Started by AccessLog only
// then. push() is called by the log's owner; the thread takes what is there in one swap.
// Invariant: stop() returns in time even if the thread is stuck in write(2); the thread then keeps
// the shared state, the descriptor included, alive for itself.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "os/fd.hpp"
#include "os/files.hpp"

namespace mono::log {

// Where lines go. Shared by AccessLog and its LogWriter; the descriptor's number never changes.
struct LogSink {
    os::Fd fd;
    std::atomic<os::SinkKind> kind = os::SinkKind::kFile;
};

uint64_t count_lines(std::string_view text);

// What of `lines` to write at once: all of it to a file; to anything shared by several workers,
// whole lines up to PIPE_BUF, which the kernel never tears apart (pipe(7)).
std::string_view whole_lines(std::string_view lines, os::SinkKind kind);

class LogWriter {
  public:
    explicit LogWriter(std::shared_ptr<LogSink> sink);
    ~LogWriter();
    LogWriter(const LogWriter&) = delete;
    LogWriter& operator=(const LogWriter&) = delete;

    void push(std::string_view lines);
    size_t backlog_bytes() const;
    uint64_t dropped() const;  // lines lost because the sink was broken
    uint64_t lines_waiting() const;
    int trouble() const;  // as AccessLog::trouble()
    // True when everything pushed has been written (or dropped) within the time.
    bool wait_idle(int timeout_ms);
    // Ends the thread; what it cannot write within the time is lost.
    void stop(int timeout_ms);

  private:
    struct State {
        std::mutex mutex;
        std::condition_variable work;  // the thread waits: lines or the end
        std::condition_variable idle;  // wait_idle() waits
        std::string queue;             // under mutex
        bool stopping = false;         // under mutex
        bool busy = false;             // under mutex: a batch is being written
        std::atomic<size_t> backlog_bytes = 0;
        std::atomic<uint64_t> lines_waiting = 0;
        std::atomic<uint64_t> dropped = 0;
        std::atomic<int> trouble = 0;
        std::shared_ptr<LogSink> sink;
    };

    static void run(const std::shared_ptr<State>& state);
    static void write_batch(State& state, std::string_view batch);
    static bool pause_or_stop(State& state);

    std::shared_ptr<State> state_;
};

}  // namespace mono::log
