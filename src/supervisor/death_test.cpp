#include "supervisor/death.hpp"

#include <gtest/gtest.h>

#include <csignal>

namespace mono::supervisor {
namespace {

int exit_status(int code) { return code << 8; }

Worker worker_with(Reason reason, int64_t ready_ms = 1) {
    Worker worker;
    worker.pid = 42;
    worker.reason = reason;
    worker.ready_ms = ready_ms;
    return worker;
}

TEST(Death, AKillFromOutsideIsNotTheMasters) {
    const Death death = explain(worker_with(Reason::kNone), SIGKILL);
    EXPECT_EQ(death.level, kError);
    EXPECT_NE(death.text.find("(pid:42)"), std::string::npos);
    EXPECT_NE(death.text.find("SIGKILL"), std::string::npos);
    EXPECT_NE(death.text.find("not by the master"), std::string::npos);
}

TEST(Death, AKillByTheMasterNamesItsReasonInstead) {
    Worker worker = worker_with(Reason::kTimeout);
    worker.overdue = true;
    const Death death = explain(worker, SIGKILL);
    EXPECT_EQ(death.level, kWarning);
    EXPECT_EQ(death.text.find("not by"), std::string::npos);
    EXPECT_NE(death.text.find("heartbeat"), std::string::npos);
}

TEST(Death, TheCodeOfAnAbortIsExplained) {
    const Death death = explain(worker_with(Reason::kTimeout), exit_status(1));
    EXPECT_EQ(death.text, "Worker (pid:42) exited with code 1: its heartbeat stopped.");
}

TEST(Death, EveryReasonHasWords) {
    for (Reason reason : {Reason::kSurplus, Reason::kReplaced, Reason::kTimeout,
                          Reason::kBootTimeout, Reason::kMemory, Reason::kStuck, Reason::kStop}) {
        const Death death = explain(worker_with(reason), SIGHUP);
        EXPECT_EQ(death.level, kInfo);
        EXPECT_GT(death.text.size(), std::string("Worker (pid:42) was killed by SIGHUP: ").size());
    }
}

TEST(Death, WhoeverEndsByTheSignalThatItWasSentHasEndedWell) {
    for (Reason reason : {Reason::kSurplus, Reason::kReplaced, Reason::kMemory, Reason::kStop}) {
        for (int number : {SIGTERM, SIGINT, SIGQUIT}) {
            Worker worker = worker_with(reason);
            EXPECT_EQ(explain(worker, number).level, 0) << number;
            worker.overdue = true;
            EXPECT_NE(explain(worker, number).level, 0) << number;
        }
        EXPECT_NE(explain(worker_with(reason), SIGSEGV).level, 0);
    }
    EXPECT_NE(explain(worker_with(Reason::kTimeout), SIGTERM).level, 0);
}

TEST(Death, LevelsFollowTheSignalAndTheCode) {
    EXPECT_EQ(explain(worker_with(Reason::kNone), SIGSEGV).level, kWarning);
    EXPECT_EQ(explain(worker_with(Reason::kNone), SIGTERM).level, kInfo);
    const Death code = explain(worker_with(Reason::kNone), exit_status(7));
    EXPECT_EQ(code.level, kError);
    EXPECT_EQ(code.text, "Worker (pid:42) exited with code 7.");
    EXPECT_EQ(explain(worker_with(Reason::kNone), exit_status(0)).level, 0);
    EXPECT_EQ(explain(worker_with(Reason::kNone, 0), exit_status(0)).level, kWarning);
    EXPECT_EQ(explain(worker_with(Reason::kSurplus, 0), exit_status(0)).level, 0);
}

TEST(Death, SignalNames) {
    EXPECT_EQ(signal_name(SIGTERM), "SIGTERM");
    EXPECT_EQ(short_signal_name(SIGHUP), "hup");
    EXPECT_EQ(signal_name(63), "signal 63");
    EXPECT_EQ(short_signal_name(63), "63");
    EXPECT_TRUE(exited_with(exit_status(3), 3));
    EXPECT_FALSE(exited_with(SIGTERM, 15));
}

}  // namespace
}  // namespace mono::supervisor
