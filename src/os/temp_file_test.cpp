#include "os/temp_file.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string>

namespace mono::os {
namespace {

class TempFileTest : public testing::Test {
  protected:
    void SetUp() override {
        char name[] = "/tmp/mono-temp-XXXXXX";
        ASSERT_NE(mkdtemp(name), nullptr);
        folder = name;
    }
    void TearDown() override {
        std::error_code ignored;
        std::filesystem::remove_all(folder, ignored);
    }
    size_t names() const {
        size_t count = 0;
        for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder))
            ++count;
        return count;
    }
    static std::string path_of(const TempFile& file) {
        std::error_code ignored;
        const std::string link = "/proc/self/fd/" + std::to_string(file.fd());
        return std::filesystem::read_symlink(link, ignored).string();
    }
    std::string folder;
};

std::string read_all(const TempFile& file) {
    char into[64];
    const ssize_t got = file.read_at(0, into);
    return {into, static_cast<size_t>(got > 0 ? got : 0)};
}

TEST_F(TempFileTest, LiesInTheGivenFolderWithoutAName) {
    TempFile file = TempFile::open(folder);
    ASSERT_TRUE(file.ok());
    EXPECT_TRUE(path_of(file).starts_with(folder)) << path_of(file);
    EXPECT_EQ(names(), 0u);
    struct stat facts {};
    ASSERT_EQ(fstat(file.fd(), &facts), 0);
    EXPECT_EQ(facts.st_mode & 0777, 0600u);
    EXPECT_NE(fcntl(file.fd(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST_F(TempFileTest, TheEnvironmentNamesAFolder) {
    setenv("TMPDIR", folder.c_str(), 1);
    EXPECT_EQ(TempFile::environment_directory(), folder);
    unsetenv("TMPDIR");
    EXPECT_EQ(TempFile::environment_directory(), "");
}

TEST_F(TempFileTest, ReadsAndWritesAtPositions) {
    TempFile file = TempFile::open(folder);
    ASSERT_TRUE(file.write_at(0, "hello"));
    ASSERT_TRUE(file.write_at(5, " world"));
    ASSERT_TRUE(file.write_at(0, "J"));
    EXPECT_EQ(read_all(file), "Jello world");
    char into[4];
    EXPECT_EQ(file.read_at(9, into), 2);
    EXPECT_EQ(file.read_at(11, into), 0);
    EXPECT_TRUE(file.write_at(3, ""));
    EXPECT_EQ(lseek(file.fd(), 0, SEEK_CUR), 0);  // positions are given, never kept
}

TEST_F(TempFileTest, AFolderThatIsNotThereLeadsToAnother) {
    TempFile file = TempFile::open(folder + "/absent");
    ASSERT_TRUE(file.ok());
    EXPECT_FALSE(path_of(file).starts_with(folder));
    TempFile not_a_folder = TempFile::open("/dev/null");
    ASSERT_TRUE(not_a_folder.ok());
    ASSERT_TRUE(not_a_folder.write_at(0, "x"));
    EXPECT_EQ(read_all(not_a_folder), "x");
}

// Runs `body` in a child with mounts of its own; its verdict, or kMayNotMount.
constexpr int kMayNotMount = 77;
template <class Body>
int with_own_mounts(Body body) {
    const pid_t child = fork();
    if (child == 0) {
        const bool own = unshare(CLONE_NEWNS) == 0 &&
                         mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
        _exit(own ? body() : kMayNotMount);
    }
    int status = -1;
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// Root may write everywhere: only a file system that is mounted read-only refuses it.
TEST_F(TempFileTest, OnAReadOnlyRootItIsMemory) {
    const int verdict = with_own_mounts([this] {
        if (mount("tmpfs", folder.c_str(), "tmpfs", MS_RDONLY, nullptr) != 0) return kMayNotMount;
        TempFile elsewhere = TempFile::open(folder);
        if (!elsewhere.ok() || path_of(elsewhere).starts_with(folder)) return 1;
        if (mount(folder.c_str(), "/tmp", nullptr, MS_BIND, nullptr) != 0) return 2;
        TempFile file = TempFile::open("");
        if (!file.ok() || !path_of(file).starts_with("/memfd:")) return 3;
        return file.write_at(0, "x") ? 0 : 4;
    });
    if (verdict == kMayNotMount) GTEST_SKIP() << "may not mount";
    EXPECT_EQ(verdict, 0);
}

TEST_F(TempFileTest, AFullDiskIsSaid) {
    const int verdict = with_own_mounts([this] {
        if (mount("tmpfs", folder.c_str(), "tmpfs", 0, "size=16k") != 0) return kMayNotMount;
        TempFile file = TempFile::open(folder);
        if (!path_of(file).starts_with(folder)) return 1;
        if (!file.write_at(0, std::string(8192, 'x'))) return 2;
        return file.write_at(8192, std::string(16384, 'x')) ? 3 : 0;  // a part of it fits
    });
    if (verdict == kMayNotMount) GTEST_SKIP() << "may not mount";
    EXPECT_EQ(verdict, 0);
}

TEST_F(TempFileTest, ADiskThatIsFullIsNotReplacedByMemory) {
    const int verdict = with_own_mounts([this] {
        if (mount("tmpfs", folder.c_str(), "tmpfs", 0, "nr_inodes=1") != 0) return kMayNotMount;
        if (mount(folder.c_str(), "/tmp", nullptr, MS_BIND, nullptr) != 0) return 1;
        return TempFile::open("").ok() ? 2 : 0;
    });
    if (verdict == kMayNotMount) GTEST_SKIP() << "may not mount";
    EXPECT_EQ(verdict, 0);
}

// The same without root: a limit on the size of files.
TEST_F(TempFileTest, AFullQuotaIsSaid) {
    TempFile file = TempFile::open(folder);
    rlimit before{};
    getrlimit(RLIMIT_FSIZE, &before);
    rlimit small{1000, before.rlim_max};
    const auto handler = std::signal(SIGXFSZ, SIG_IGN);
    ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
    const bool first = file.write_at(0, std::string(1000, 'x'));
    const bool second = file.write_at(1000, "x");
    const bool across = file.write_at(500, std::string(501, 'y'));
    setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, handler);
    EXPECT_TRUE(first);
    EXPECT_FALSE(second);
    EXPECT_FALSE(across);
}

TEST_F(TempFileTest, WithoutDescriptorsThereIsNoFile) {
    rlimit before{};
    getrlimit(RLIMIT_NOFILE, &before);
    rlimit none{0, before.rlim_max};
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    TempFile file = TempFile::open(folder);
    setrlimit(RLIMIT_NOFILE, &before);
    EXPECT_FALSE(file.ok());
    EXPECT_FALSE(file.write_at(0, "x"));
    char into[4];
    EXPECT_EQ(file.read_at(0, into), -1);
}

}  // namespace
}  // namespace mono::os
