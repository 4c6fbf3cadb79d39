#include "log/log_writer.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "base/clock.hpp"

namespace mono::log {
namespace {

struct Pipe {
    Pipe() {
        signal(SIGPIPE, SIG_IGN);
        int ends[2];
        EXPECT_EQ(pipe2(ends, O_CLOEXEC), 0);
        reader = os::Fd(ends[0]);
        sink = std::make_shared<LogSink>();
        sink->fd = os::Fd(ends[1]);
        sink->kind = os::SinkKind::kStream;
    }
    os::Fd reader;
    std::shared_ptr<LogSink> sink;
};

TEST(LogWriter, WritesInOrder) {
    Pipe pipe;
    LogWriter writer(pipe.sink);
    writer.push("one\n");
    writer.push("two\n");
    ASSERT_TRUE(writer.wait_idle(5'000));
    char got[16];
    EXPECT_EQ(std::string(got, static_cast<size_t>(read(pipe.reader.get(), got, sizeof got))),
              "one\ntwo\n");
    EXPECT_EQ(writer.backlog_bytes(), 0U);
}

TEST(LogWriter, PushNeverWaitsForAStuckThread) {
    Pipe pipe;
    const int64_t before_ms = base::monotonic_ms();
    {
        LogWriter writer(pipe.sink);
        for (int i = 0; i < 100; ++i) writer.push(std::string(4095, 'x') + "\n");
        EXPECT_FALSE(writer.wait_idle(50));
        EXPECT_GT(writer.backlog_bytes(), 0U);
        writer.stop(50);
    }
    EXPECT_LT(base::monotonic_ms() - before_ms, 2'000);
    pipe.reader.reset();  // the thread's write fails now, and the thread ends
}

TEST(LogWriter, ABrokenSinkIsCounted) {
    Pipe pipe;
    pipe.reader.reset();
    LogWriter writer(pipe.sink);
    writer.push("one\ntwo\n");
    ASSERT_TRUE(writer.wait_idle(5'000));
    EXPECT_EQ(writer.dropped(), 2U);
    EXPECT_EQ(writer.backlog_bytes(), 0U);
}

TEST(LogWriter, ItsThreadTakesNoSignals) {
    Pipe pipe;
    sigset_t before;
    sigset_t after;
    pthread_sigmask(SIG_SETMASK, nullptr, &before);
    const LogWriter writer(pipe.sink);
    pthread_sigmask(SIG_SETMASK, nullptr, &after);
    for (int number = 1; number < 32; ++number) {
        EXPECT_EQ(sigismember(&before, number), sigismember(&after, number)) << number;
    }
}

TEST(WholeLines, CutsAtALineWithinPipeBuf) {
    const std::string line = std::string(999, 'x') + "\n";
    std::string lines;
    for (int i = 0; i < 10; ++i) lines += line;
    EXPECT_EQ(whole_lines(lines, os::SinkKind::kStream).size(), 4'000U);
    EXPECT_EQ(whole_lines(lines, os::SinkKind::kFile).size(), 10'000U);
    const std::string giant = std::string(9'000, 'x') + "\n";
    EXPECT_EQ(whole_lines(giant + line, os::SinkKind::kStream).size(), 9'001U);
    EXPECT_EQ(whole_lines(line, os::SinkKind::kStream), line);
}

}  // namespace
}  // namespace mono::log
