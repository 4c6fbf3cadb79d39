#include "log/log_writer.hpp"

#include <algorithm>
#include <chrono>
#include <climits>
#include <thread>

#include "os/signal_mask.hpp"

namespace mono::log {
namespace {

constexpr std::chrono::milliseconds kRetryEvery{100};
constexpr int kStopMs = 200;

}  // namespace

uint64_t count_lines(std::string_view text) {
    return static_cast<uint64_t>(std::count(text.begin(), text.end(), '\n'));
}

std::string_view whole_lines(std::string_view lines, os::SinkKind kind) {
    if (kind == os::SinkKind::kFile || lines.size() <= PIPE_BUF) return lines;
    const size_t last = lines.rfind('\n', PIPE_BUF - 1);
    // A line longer than that goes alone and takes its chances.
    return lines.substr(0, (last == lines.npos ? lines.find('\n') : last) + 1);
}

LogWriter::LogWriter(std::shared_ptr<LogSink> sink) : state_(std::make_shared<State>()) {
    state_->sink = std::move(sink);
    const os::SignalsBlocked blocked;
    // Detached: nobody may have to join a thread that is stuck in write(2).
    std::thread([state = state_] { run(state); }).detach();
}

LogWriter::~LogWriter() { stop(kStopMs); }

void LogWriter::push(std::string_view lines) {
    {
        const std::lock_guard lock(state_->mutex);
        state_->queue.append(lines);
        state_->backlog_bytes += lines.size();
        state_->lines_waiting += count_lines(lines);
    }
    state_->work.notify_one();
}

size_t LogWriter::backlog_bytes() const { return state_->backlog_bytes; }

uint64_t LogWriter::dropped() const { return state_->dropped; }

uint64_t LogWriter::lines_waiting() const { return state_->lines_waiting; }

int LogWriter::trouble() const { return state_->trouble; }

bool LogWriter::wait_idle(int timeout_ms) {
    std::unique_lock lock(state_->mutex);
    return state_->idle.wait_for(lock, std::chrono::milliseconds(timeout_ms),
                                 [this] { return state_->queue.empty() && !state_->busy; });
}

void LogWriter::stop(int timeout_ms) {
    wait_idle(timeout_ms);
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
    state_->work.notify_one();
}

void LogWriter::run(const std::shared_ptr<State>& state) {
    std::string batch;
    std::unique_lock lock(state->mutex);
    while (true) {
        state->work.wait(lock, [&] { return state->stopping || !state->queue.empty(); });
        if (state->stopping) return;
        batch.clear();
        batch.swap(state->queue);
        state->busy = true;
        lock.unlock();
        write_batch(*state, batch);
        lock.lock();
        state->busy = false;
        state->idle.notify_all();
    }
}

void LogWriter::write_batch(State& state, std::string_view batch) {
    while (!batch.empty()) {
        const os::SinkKind kind = state.sink->kind;
        const os::SinkResult result =
            os::write_sink(state.sink->fd.get(), kind, whole_lines(batch, kind));
        state.lines_waiting -= count_lines(batch.substr(0, result.bytes));
        batch.remove_prefix(result.bytes);
        state.backlog_bytes -= result.bytes;
        if (result.status != os::SinkStatus::kAgain) state.trouble = result.error;
        switch (result.status) {
            case os::SinkStatus::kDone:
                break;
            case os::SinkStatus::kAgain:
            case os::SinkStatus::kFull:
                if (!pause_or_stop(state)) break;
                [[fallthrough]];
            case os::SinkStatus::kBroken:
                state.dropped += count_lines(batch);
                state.lines_waiting -= count_lines(batch);
                state.backlog_bytes -= batch.size();
                return;
        }
    }
}

// A sink without room is tried again ten times a second; true when the log is being closed.
bool LogWriter::pause_or_stop(State& state) {
    std::unique_lock lock(state.mutex);
    return state.work.wait_for(lock, kRetryEvery, [&] { return state.stopping; });
}

}  // namespace mono::log
