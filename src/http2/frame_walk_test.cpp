#include "http2/frame_walk.hpp"

#include <gtest/gtest.h>

#include <string>

#include "http2/frames_test.hpp"
#include "http2/preface.hpp"

namespace mono::http2 {
namespace {

struct Outcome {
    Fault fault = Fault::kNone;
    size_t sound = 0;  // bytes before the fault
};

Outcome walked(std::string_view bytes, size_t piece, const Limits& limits = {}) {
    Guard guard(limits);
    FrameWalk walk(guard);
    Outcome outcome;
    while (!bytes.empty() && walk.fault() == Fault::kNone) {
        const std::string_view now = bytes.substr(0, piece);
        outcome.sound += walk.walk(now);
        bytes.remove_prefix(now.size());
    }
    outcome.fault = walk.fault();
    return outcome;
}

// At every size of pieces; the frame with the fault begins at `at`.
void expect_fault(const std::string& bytes, Fault fault, size_t at, const Limits& limits = {}) {
    for (size_t piece = 1; piece <= bytes.size(); ++piece) {
        const Outcome outcome = walked(bytes, piece, limits);
        EXPECT_EQ(outcome.fault, fault) << piece;
        EXPECT_GE(outcome.sound, at) << piece;
        EXPECT_LE(outcome.sound, at + kFrameHead + 4) << piece;
    }
}

std::string begun(const std::string& frames) { return std::string(kPreface) + frames; }

TEST(FrameWalk, FollowsFramesAtEverySplit) {
    const std::string bytes =
        begun(frame(kSettings, 0, 0, std::string(12, 'x')) + frame(kHeaders, 4, 1, "block") +
              frame(kData, 0, 1, "") + frame(kPriority, 0, 3, std::string("\0\0\0\1\7", 5)) +
              frame(kData, 1, 1, std::string(300, 'd')));
    for (size_t piece = 1; piece <= bytes.size(); ++piece) {
        const Outcome outcome = walked(bytes, piece);
        EXPECT_EQ(outcome.fault, Fault::kNone) << piece;
        EXPECT_EQ(outcome.sound, bytes.size()) << piece;
    }
}

TEST(FrameWalk, AStreamMayNotDependOnItself) {
    const std::string before = begun(frame(kHeaders, 4, 1, "block"));
    const std::string itself = frame(kPriority, 0, 3, std::string("\x80\0\0\3\7", 5));
    expect_fault(before + itself + frame(kPing, 0, 0, "12345678"), Fault::kPriority, before.size());
    expect_fault(begun(frame(kPriority, 0, 0, std::string("\0\0\0\3\7", 5))), Fault::kPriority,
                 kPreface.size());
}

TEST(FrameWalk, NothingFollowsWhatThePeerEnded) {
    const std::string ended = begun(frame(kHeaders, 5, 1, "block"));
    expect_fault(ended + frame(kData, 0, 1, "x"), Fault::kStreamEnded, ended.size());
    const std::string reset =
        begun(frame(kHeaders, 4, 1, "block") + frame(kRstStream, 0, 1, std::string(4, '\0')));
    expect_fault(reset + frame(kHeaders, 4, 1, "x"), Fault::kStreamEnded, reset.size());
    const std::string trailers = begun(frame(kHeaders, 4, 1, "b") + frame(kHeaders, 5, 1, "t"));
    EXPECT_EQ(walked(trailers, 7).fault, Fault::kNone);
}

TEST(FrameWalk, NumbersOfStreamsGrow) {
    const std::string before = begun(frame(kHeaders, 5, 5, "block"));
    expect_fault(before + frame(kHeaders, 5, 3, "block"), Fault::kStreamOrder, before.size());
}

TEST(FrameWalk, StreamsLongGoneAreForgiven) {
    std::string bytes = begun("");
    for (uint32_t stream = 1; stream < 400; stream += 2) bytes += frame(kHeaders, 5, stream, "b");
    EXPECT_EQ(walked(bytes + frame(kData, 1, 1, "x"), 64).fault, Fault::kNone);
    EXPECT_EQ(walked(bytes + frame(kData, 1, 399, "x"), 64).fault, Fault::kStreamEnded);
}

TEST(FrameWalk, CountsWhatMayNotGoOnForEver) {
    Limits limits;
    limits.pings_max = limits.settings_max = limits.resets_max = limits.priorities_max = 3;
    limits.empty_frames_max = limits.window_updates_max = limits.continuations_max = 3;
    const std::string four(4, '\0');
    const struct {
        std::string frame;
        Fault fault;
    } kinds[] = {
        {frame(kPing, 0, 0, "12345678"), Fault::kPingFlood},
        {frame(kSettings, 0, 0, ""), Fault::kSettingsFlood},
        {frame(kRstStream, 0, 2, four), Fault::kResetFlood},
        {frame(kPriority, 0, 3, four + "x"), Fault::kPriorityFlood},
        {frame(kPriorityUpdate, 0, 0, four + "u=1"), Fault::kPriorityFlood},
        {frame(kData, 0, 1, ""), Fault::kEmptyFrameFlood},
        {frame(0x77, 0, 0, "what"), Fault::kEmptyFrameFlood},
        {frame(kWindowUpdate, 0, 0, four), Fault::kWindowUpdateFlood},
        {frame(kContinuation, 0, 1, "x"), Fault::kContinuationFlood},
    };
    for (const auto& kind : kinds) {
        const std::string three = begun(kind.frame + kind.frame + kind.frame);
        EXPECT_EQ(walked(three, 5, limits).fault, Fault::kNone);
        expect_fault(three + kind.frame, kind.fault, three.size(), limits);
    }
}

}  // namespace
}  // namespace mono::http2
