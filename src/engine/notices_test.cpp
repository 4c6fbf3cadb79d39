#include "engine/notices.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include "os/poller.hpp"

namespace mono::engine {
namespace {

bool rang(os::Wakeup& wakeup) {
    const bool readable = os::wait_readable(wakeup.reader(), -1, 0);
    wakeup.drain();
    return readable;
}

struct Noticed {
    explicit Noticed(int runner_fd = -1) : notices(runner_fd, bell) {}
    os::Wakeup wakeup;
    TurnBell bell{wakeup, true};
    Notices notices;
};

TEST(Notices, OneThreadHearsOfALevelThatLasts) {
    Noticed noticed;
    EXPECT_FALSE(noticed.notices.hear());
    noticed.notices.say(Severity::kError, "something");
    EXPECT_TRUE(noticed.notices.hear());
    EXPECT_FALSE(noticed.notices.hear()) << "the others go on";
    EXPECT_TRUE(noticed.notices.needs_attention());
    EXPECT_EQ(noticed.notices.take_journal().size(), 1U);
    EXPECT_FALSE(noticed.notices.needs_attention());
    noticed.notices.say(Severity::kError, "something else");
    EXPECT_TRUE(noticed.notices.hear());
}

TEST(Notices, TheLevelLastsUntilAllIsTaken) {
    Noticed noticed;
    int owner = 0;
    noticed.notices.say(Severity::kError, "something");
    noticed.notices.release(&owner);
    EXPECT_EQ(noticed.notices.take_journal().size(), 1U);
    EXPECT_TRUE(noticed.notices.needs_attention());
    EXPECT_EQ(noticed.notices.take_released(), std::vector<void*>{&owner});
    EXPECT_FALSE(noticed.notices.needs_attention());
}

TEST(Notices, ALoopIsRungForOnceAndNotInItsTurn) {
    Noticed noticed;
    noticed.notices.say(Severity::kInfo, "first");
    EXPECT_TRUE(rang(noticed.wakeup));
    noticed.notices.say(Severity::kInfo, "second");
    EXPECT_FALSE(rang(noticed.wakeup)) << "who comes for the first finds both";
    noticed.notices.take_journal();
    noticed.bell.begin_turn();
    noticed.notices.say(Severity::kInfo, "third");
    noticed.bell.end_turn();
    EXPECT_FALSE(rang(noticed.wakeup)) << "the turn's end looks by itself";
}

TEST(Notices, ARunnerWithADescriptorIsRungForThere) {
    os::Wakeup runner;
    Noticed noticed(runner.writer());
    noticed.notices.say(Severity::kInfo, "first");
    EXPECT_TRUE(rang(runner));
    EXPECT_FALSE(noticed.notices.needs_attention()) << "no thread need leave take() for lines";
    noticed.notices.say(Severity::kInfo, "second");
    EXPECT_FALSE(rang(runner));
    EXPECT_EQ(noticed.notices.take_journal().size(), 2U);
    EXPECT_TRUE(noticed.notices.ring_runner());
    EXPECT_TRUE(rang(runner));
}

}  // namespace
}  // namespace mono::engine
