#include "os/inotify.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <fstream>
#include <string>

namespace mono::os {
namespace {

class InotifyTest : public ::testing::Test {
  protected:
    void SetUp() override {
        char name[] = "/tmp/inotify-test-XXXXXX";
        ASSERT_NE(mkdtemp(name), nullptr);
        directory_ = name;
        ASSERT_TRUE(inotify_.ok());
        ASSERT_TRUE(inotify_.watch(directory_));
    }
    void TearDown() override {
        for (const char* name : {"/a", "/b"}) ::unlink((directory_ + name).c_str());
        ::rmdir(directory_.c_str());
    }
    void write(const std::string& name) { std::ofstream(directory_ + name) << "text"; }

    std::string directory_;
    Inotify inotify_;
};

TEST_F(InotifyTest, IsSilentWithoutNews) {
    EXPECT_FALSE(inotify_.drain());
    write("/a");
    EXPECT_TRUE(inotify_.drain());
    EXPECT_FALSE(inotify_.drain());
}

TEST_F(InotifyTest, SeesWritesReplacementsAndTouches) {
    write("/a");
    inotify_.drain();
    write("/a");
    EXPECT_TRUE(inotify_.drain());
    ASSERT_EQ(::rename((directory_ + "/a").c_str(), (directory_ + "/b").c_str()), 0);
    EXPECT_TRUE(inotify_.drain());
    ASSERT_EQ(::utimensat(AT_FDCWD, (directory_ + "/b").c_str(), nullptr, 0), 0);
    EXPECT_TRUE(inotify_.drain());
    ASSERT_EQ(::symlink("b", (directory_ + "/a").c_str()), 0);
    EXPECT_TRUE(inotify_.drain());
}

TEST_F(InotifyTest, DoesNotMindDeletionsAndReaders) {
    write("/a");
    inotify_.drain();
    std::ifstream(directory_ + "/a").get();
    EXPECT_FALSE(inotify_.drain());
    ::unlink((directory_ + "/a").c_str());
    inotify_.drain();  // a deletion changes the link count, which is an attribute
    EXPECT_FALSE(inotify_.drain());
}

TEST_F(InotifyTest, TakesManyEventsAtOnce) {
    for (int round = 0; round < 500; ++round) write("/a");
    EXPECT_TRUE(inotify_.drain());
    EXPECT_FALSE(inotify_.drain());
}

TEST_F(InotifyTest, SaysWhyADirectoryCannotBeWatched) {
    EXPECT_FALSE(inotify_.watch(directory_ + "/absent"));
    EXPECT_EQ(errno, ENOENT);
    write("/a");
    EXPECT_FALSE(inotify_.watch(directory_ + "/a"));
    EXPECT_EQ(errno, ENOTDIR);
    EXPECT_TRUE(inotify_.watch(directory_));
}

}  // namespace
}  // namespace mono::os
