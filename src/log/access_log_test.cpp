// Real pipes, real files, real /dev/full: nothing here is simulated.
#include "log/access_log.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <fstream>
#include <iterator>

#include "base/clock.hpp"

namespace mono::log {
namespace {

constexpr int64_t kAtOnceMs = 250;  // "does not wait", on a busy machine

std::string read_file(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

std::string read_all(int fd) {
    std::string all;
    char chunk[65536];
    fcntl(fd, F_SETFL, O_NONBLOCK);
    for (ssize_t got; (got = read(fd, chunk, sizeof chunk)) > 0;) all.append(chunk, got);
    return all;
}

// Fills a pipe to the last byte and leaves it in blocking mode, as a shell would hand it over.
void fill_pipe(int fd) {
    fcntl(fd, F_SETFL, O_NONBLOCK);
    const std::string junk(4096, '#');
    while (write(fd, junk.data(), junk.size()) > 0) {
    }
    while (write(fd, "#", 1) > 0) {
    }
    fcntl(fd, F_SETFL, 0);
}

AccessFormat format_of(std::string_view text) {
    return std::move(AccessFormat::compile(text).value());
}

std::unique_ptr<AccessLog> open_log(const std::string& path, std::string_view format) {
    AccessLogOptions options;
    options.path = path;
    base::Result<std::unique_ptr<AccessLog>> log = AccessLog::open(options, format_of(format));
    EXPECT_TRUE(log.ok()) << log.sentence();
    return std::move(log.value());
}

AccessRecord numbered(uint64_t number) {
    AccessRecord record;
    record.body_bytes = number;
    return record;
}

// Every line whole and in order; returns how many.
uint64_t expect_numbered_lines(std::string_view text) {
    uint64_t count = 0;
    while (!text.empty()) {
        const size_t end = text.find('\n');
        EXPECT_NE(end, text.npos);
        EXPECT_EQ(text.substr(0, end), "line " + std::to_string(count));
        text.remove_prefix(end + 1);
        ++count;
    }
    return count;
}

class AccessLogTest : public testing::Test {
  protected:
    void SetUp() override {
        signal(SIGPIPE, SIG_IGN);
        std::string name = testing::TempDir() + "access-log-XXXXXX";
        ASSERT_NE(mkdtemp(name.data()), nullptr);
        directory_ = name;
        path_ = name + "/access.log";
        ASSERT_EQ(pipe2(pipe_, O_CLOEXEC), 0);
    }
    void TearDown() override {
        restore_stdout();
        close(pipe_[0]);
        if (pipe_[1] >= 0) close(pipe_[1]);
        for (const char* name : {"/access.log", "/old.log"}) unlink((directory_ + name).c_str());
        rmdir(directory_.c_str());
    }
    // The pipe becomes standard output, as `monoceros | cat` has it.
    void stdout_to_pipe() {
        fflush(stdout);
        saved_stdout_ = dup(1);
        dup2(pipe_[1], 1);
    }
    void restore_stdout() {
        if (saved_stdout_ < 0) return;
        dup2(saved_stdout_, 1);
        close(saved_stdout_);
        saved_stdout_ = -1;
    }

    std::string directory_;
    std::string path_;
    int pipe_[2] = {-1, -1};
    int saved_stdout_ = -1;
};

TEST_F(AccessLogTest, AppendsToAFileAtFlush) {
    std::ofstream(path_) << "before\n";
    const auto log = open_log(path_, "line %(B)s");
    log->append(numbered(0));
    log->append(numbered(1));
    EXPECT_EQ(read_file(path_), "before\n");
    EXPECT_TRUE(log->waiting());
    log->flush();
    EXPECT_EQ(read_file(path_), "before\nline 0\nline 1\n");
    EXPECT_FALSE(log->waiting());
    EXPECT_FALSE(log->threaded());
}

TEST_F(AccessLogTest, FlushesByItselfAndAtTheEnd) {
    {
        const auto log = open_log(path_, "line %(B)s");
        for (uint64_t i = 0; i < 10'000; ++i) log->append(numbered(i));
        EXPECT_GT(read_file(path_).size(), 65'536U);
    }
    EXPECT_EQ(expect_numbered_lines(read_file(path_)), 10'000U);
}

TEST_F(AccessLogTest, ReopensAfterRotation) {
    const auto log = open_log(path_, "line %(B)s");
    log->append(numbered(0));
    ASSERT_EQ(rename(path_.c_str(), (directory_ + "/old.log").c_str()), 0);
    int error = -1;
    EXPECT_TRUE(log->reopen(error));
    EXPECT_EQ(error, 0);
    log->append(numbered(1));
    log->flush();
    EXPECT_EQ(read_file(directory_ + "/old.log"), "line 0\n");
    EXPECT_EQ(read_file(path_), "line 1\n");
}

TEST_F(AccessLogTest, WhatSomebodyElseHasOpenedIsWrittenTo) {
    const std::string other = directory_ + "/other.log";
    AccessLogOptions options;
    options.path = "/absent/access.log";  // which we may not open
    int error = 0;
    const os::Fd first = os::open_append(path_, error);
    const os::Fd second = os::open_append(other, error);
    options.fd = first.get();
    auto log = AccessLog::open(options, format_of("line %(B)s"));
    ASSERT_TRUE(log.ok());
    log.value()->append(numbered(0));
    EXPECT_TRUE(log.value()->reopen(error, second.get()));
    log.value()->append(numbered(1));
    log.value()->flush();
    EXPECT_EQ(read_file(path_), "line 0\n");
    EXPECT_EQ(read_file(other), "line 1\n");
    EXPECT_FALSE(log.value()->reopen(error, -1));
    EXPECT_EQ(error, ENOENT);
    ASSERT_EQ(unlink(other.c_str()), 0);
}

TEST_F(AccessLogTest, TellsWhyNothingIsTaken) {
    const auto log = open_log("/dev/full", "line");
    EXPECT_EQ(log->trouble(), 0);
    log->append(numbered(0));
    log->flush();
    EXPECT_EQ(log->trouble(), ENOSPC);
    int error = 0;
    const os::Fd file = os::open_append(path_, error);
    ASSERT_TRUE(log->reopen(error, file.get()));
    EXPECT_EQ(log->trouble(), 0);
    EXPECT_EQ(read_file(path_), "line\n");
}

TEST_F(AccessLogTest, AFailedReopenKeepsTheOldFile) {
    const auto log = open_log(path_, "line %(B)s");
    ASSERT_EQ(unlink(path_.c_str()), 0);
    ASSERT_EQ(mkdir(path_.c_str(), 0700), 0);
    int error = 0;
    EXPECT_FALSE(log->reopen(error));
    EXPECT_EQ(error, EISDIR);
    log->append(numbered(0));
    log->flush();
    EXPECT_FALSE(log->waiting());
    ASSERT_EQ(rmdir(path_.c_str()), 0);
}

TEST_F(AccessLogTest, APathThatCannotBeOpenedIsASentence) {
    AccessLogOptions options;
    options.path = directory_ + "/absent/access.log";
    const auto log = AccessLog::open(options, format_of("x"));
    ASSERT_FALSE(log.ok());
    EXPECT_EQ(log.sentence(),
              "accesslog: cannot open " + options.path + ": No such file or directory.");
}

TEST_F(AccessLogTest, AFullPipeNeitherWaitsNorTearsLines) {
    stdout_to_pipe();
    auto log = open_log("-", "line %(B)s");
    EXPECT_EQ(fcntl(1, F_GETFL) & O_NONBLOCK, 0) << "the shared standard output was changed";
    fill_pipe(pipe_[1]);
    const int64_t before_ms = base::monotonic_ms();
    constexpr uint64_t kLines = 200'000;
    for (uint64_t i = 0; i < kLines; ++i) log->append(numbered(i));
    log->flush();
    EXPECT_LT(base::monotonic_ms() - before_ms, 4 * kAtOnceMs);
    EXPECT_TRUE(log->waiting());
    const uint64_t dropped = log->dropped();
    EXPECT_GT(dropped, 0U);
    EXPECT_LT(dropped, kLines);

    std::string got = read_all(pipe_[0]);
    while (log->waiting()) {
        log->flush();
        got += read_all(pipe_[0]);
    }
    restore_stdout();
    got.erase(0, got.find_first_not_of('#'));
    EXPECT_EQ(expect_numbered_lines(got) + dropped, kLines);
    EXPECT_LE(got.size(), 1024U * 1024 + 100);
    EXPECT_GE(got.size(), 1024U * 1024 - 100);
}

TEST_F(AccessLogTest, PipePiecesAreWholeLines) {
    stdout_to_pipe();
    auto log = open_log("-", "line %(B)s");
    // Room for one page only: a torn line would show as a write that ends within it.
    ASSERT_EQ(fcntl(pipe_[1], F_SETPIPE_SZ, 4096), 4096);
    for (uint64_t i = 0; i < 2'000; ++i) log->append(numbered(i));
    std::string got;
    while (log->waiting()) {
        log->flush();
        const std::string piece = read_all(pipe_[0]);
        EXPECT_TRUE(piece.empty() || piece.back() == '\n');
        got += piece;
    }
    restore_stdout();
    EXPECT_EQ(expect_numbered_lines(got), 2'000U);
}

TEST_F(AccessLogTest, AGoneReaderDropsAndCounts) {
    stdout_to_pipe();
    auto log = open_log("-", "line %(B)s");
    close(pipe_[0]);
    for (uint64_t i = 0; i < 3; ++i) log->append(numbered(i));
    log->flush();
    restore_stdout();
    EXPECT_EQ(log->dropped(), 3U);
    EXPECT_FALSE(log->waiting());
    pipe_[0] = dup(pipe_[1]);
}

TEST_F(AccessLogTest, AFullDiskKeepsLinesThenCounts) {
    const auto log = open_log("/dev/full", "line %(B)s");
    for (uint64_t i = 0; i < 10; ++i) log->append(numbered(i));
    log->flush();
    EXPECT_TRUE(log->waiting());
    EXPECT_EQ(log->dropped(), 0U);
    for (uint64_t i = 0; i < 200'000; ++i) log->append(numbered(i));
    EXPECT_GT(log->dropped(), 0U);
    const int64_t before_ms = base::monotonic_ms();
    EXPECT_FALSE(log->drain(100));
    EXPECT_LT(base::monotonic_ms() - before_ms, kAtOnceMs);
}

// A file that takes a part of a line only: the rest follows when there is room again.
TEST_F(AccessLogTest, AShortWriteIsContinued) {
    signal(SIGXFSZ, SIG_IGN);
    rlimit before{};
    ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &before), 0);
    const auto log = open_log(path_, "line %(B)s");
    rlimit tight = before;
    tight.rlim_cur = 10;
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &tight), 0);
    for (uint64_t i = 0; i < 3; ++i) log->append(numbered(i));
    log->flush();
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &before), 0);
    EXPECT_EQ(read_file(path_), "line 0\nlin");
    EXPECT_TRUE(log->waiting());
    log->flush();
    EXPECT_EQ(read_file(path_), "line 0\nline 1\nline 2\n");
    EXPECT_EQ(log->dropped(), 0U);
}

TEST_F(AccessLogTest, AFifoWithoutReaderOpensAndKeeps) {
    ASSERT_EQ(mkfifo(path_.c_str(), 0600), 0);
    const auto log = open_log(path_, "line %(B)s");
    log->append(numbered(0));
    log->flush();
    const int reader = open(path_.c_str(), O_RDONLY | O_NONBLOCK);
    EXPECT_EQ(read_all(reader), "line 0\n");
    close(reader);
}

TEST_F(AccessLogTest, ASocketIsNeverWaitedFor) {
    int pair[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    fflush(stdout);
    saved_stdout_ = dup(1);
    dup2(pair[1], 1);
    auto log = open_log("-", "line %(B)s");
    for (uint64_t i = 0; i < 100'000; ++i) log->append(numbered(i));
    log->flush();
    EXPECT_TRUE(log->waiting());
    std::string got;
    while (log->waiting()) {
        got += read_all(pair[0]);
        log->flush();
    }
    got += read_all(pair[0]);
    restore_stdout();
    EXPECT_EQ(expect_numbered_lines(got), 100'000U);
    close(pair[0]);
    close(pair[1]);
}

TEST_F(AccessLogTest, WhatIsLeftAtTheEndIsCounted) {
    stdout_to_pipe();
    auto log = open_log("-", "line %(B)s");
    fill_pipe(pipe_[1]);
    for (uint64_t i = 0; i < 200'000; ++i) log->append(numbered(i));
    EXPECT_LT(log->dropped(), 200'000U);
    log->close();
    EXPECT_EQ(log->dropped(), 200'000U);
    EXPECT_FALSE(log->waiting());
    log.reset();
    restore_stdout();
}

// As after `user = "www-data"`: the pipe that root made cannot be opened through /proc.
TEST_F(AccessLogTest, AnotherUsersPipeGetsAThread) {
    if (getuid() != 0) GTEST_SKIP() << "needs root to drop privileges";
    fill_pipe(pipe_[1]);
    stdout_to_pipe();
    const pid_t child = fork();
    if (child == 0) {
        if (setgid(65534) != 0 || setuid(65534) != 0) _exit(10);
        AccessLogOptions options;
        options.path = "-";
        auto log = AccessLog::open(options, format_of("line %(B)s"));
        if (!log || !log.value()->threaded()) _exit(11);
        const int64_t before_ms = base::monotonic_ms();
        for (uint64_t i = 0; i < 200'000; ++i) log.value()->append(numbered(i));
        log.value()->flush();
        if (base::monotonic_ms() - before_ms > 4 * kAtOnceMs) _exit(12);
        if (log.value()->dropped() == 0) _exit(13);
        if (log.value()->drain(100)) _exit(14);
        log.value()->close();
        _exit(log.value()->dropped() == 200'000 ? 0 : 15);
    }
    int status = -1;
    waitpid(child, &status, 0);
    restore_stdout();
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace mono::log
