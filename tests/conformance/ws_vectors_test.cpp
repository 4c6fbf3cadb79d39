// Every case of tests/vectors/ws through the handshake and the session: whole, a byte at a time,
// at every split.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "vector_file.hpp"
#include "ws_driver.hpp"
#include "ws_frames.hpp"

namespace mono::conformance {

// For GoogleTest's messages; found by the type's namespace.
static void PrintTo(const VectorCase& vector, std::ostream* out) {
    *out << vector.group << "/" << vector.file << ":" << vector.line << ": " << vector.title;
}

namespace {

constexpr size_t kEverySplitBytes = 2048;  // above, splits are a prime step apart
constexpr size_t kSplitStep = 613;
constexpr size_t kSmallestCount = 120;

struct Loaded {
    std::vector<VectorCase> cases;
    std::vector<std::string> problems;
};

Loaded load() {
    Loaded loaded;
    loaded.cases = load_vectors(std::string(MONO_VECTORS) + "/ws", loaded.problems);
    return loaded;
}

std::vector<std::string> run(const WsDriverRules& rules, bool handshake,
                             const std::vector<std::string_view>& pieces) {
    WsDriver driver(rules, handshake);
    for (const std::string_view piece : pieces) driver.feed(piece);
    driver.finish();
    return driver.events();
}

class WsVectors : public testing::TestWithParam<VectorCase> {
  protected:
    void SetUp() override {
        ASSERT_EQ(rules.apply(GetParam().settings), "");
        bytes = GetParam().bytes;
        handshake = !bytes.empty();
        ASSERT_EQ(encode_frames(GetParam().frames, bytes), "");
    }
    std::vector<std::string> run_in(size_t step) const {
        std::vector<std::string_view> pieces;
        for (size_t at = 0; at < bytes.size(); at += step)
            pieces.push_back(std::string_view(bytes).substr(at, step));
        return run(rules, handshake, pieces);
    }

    WsDriverRules rules;
    std::string bytes;
    bool handshake = false;
};

TEST_P(WsVectors, Whole) { EXPECT_EQ(run(rules, handshake, {bytes}), GetParam().events); }

TEST_P(WsVectors, AByteAtATime) { EXPECT_EQ(run_in(1), GetParam().events); }

TEST_P(WsVectors, SevenBytesAtATime) { EXPECT_EQ(run_in(7), GetParam().events); }

TEST_P(WsVectors, EverySplit) {
    const std::string_view all = bytes;
    const size_t step = all.size() <= kEverySplitBytes ? 1 : kSplitStep;
    for (size_t at = 1; at < all.size(); at += step)
        ASSERT_EQ(run(rules, handshake, {all.substr(0, at), all.substr(at)}), GetParam().events)
            << "split at " << at;
}

std::string name_of(const testing::TestParamInfo<VectorCase>& info) {
    std::string name = info.param.file + "_" + std::to_string(info.param.line);
    std::replace_if(
        name.begin(), name.end(), [](char byte) { return !std::isalnum(byte) && byte != '_'; },
        '_');
    return name;
}

INSTANTIATE_TEST_SUITE_P(Md, WsVectors, testing::ValuesIn(load().cases), name_of);

TEST(WsVectorFiles, AreWellFormed) {
    const Loaded loaded = load();
    EXPECT_EQ(loaded.problems, std::vector<std::string>());
    std::set<std::string> titles;
    std::set<std::string> contents;
    for (const VectorCase& vector : loaded.cases) {
        EXPECT_TRUE(titles.insert(vector.file + vector.title).second) << vector.title;
        std::string content = vector.bytes;
        for (const std::string& line : vector.frames) content += "|" + line;
        EXPECT_FALSE(content.empty()) << vector.title;
        for (const auto& [key, value] : vector.settings) content += "|" + key + "=" + value;
        EXPECT_TRUE(contents.insert(content).second) << "twice: " << vector.title;
    }
    EXPECT_GE(loaded.cases.size(), kSmallestCount);
}

TEST(WsVectorFiles, RaiseEveryRule) {
    std::set<std::string> raised;
    for (const VectorCase& vector : load().cases)
        for (const std::string& event : vector.events) {
            const size_t rule = event.find("ws-");
            if (rule != std::string::npos)
                raised.insert(event.substr(rule, event.find(' ', rule) - rule));
        }
    for (int number = 1; number < static_cast<int>(websocket::Fault::kCount); ++number) {
        const std::string_view rule =
            websocket::describe(static_cast<websocket::Fault>(number)).rule;
        EXPECT_TRUE(raised.contains(std::string(rule))) << rule;
    }
    for (int number = 1; number < static_cast<int>(websocket::Refusal::kCount); ++number) {
        const std::string_view rule =
            websocket::describe(static_cast<websocket::Refusal>(number)).rule;
        EXPECT_TRUE(raised.contains(std::string(rule))) << rule;
    }
}

TEST(WsFrames, AreWrittenAsTheStandardShows) {
    std::string out;
    ASSERT_EQ(encode_frames({"text Hello", "bytes \\x00"}, out), "");
    EXPECT_EQ(out, std::string("\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58\x00", 12));
    out.clear();
    ASSERT_EQ(encode_frames({"ping/unmasked Hello", "close/code=1000/unmasked"}, out), "");
    EXPECT_EQ(out, "\x89\x05Hello\x88\x02\x03\xE8");
    EXPECT_EQ(encode_frames({"texts Hello"}, out), "not a frame: texts Hello");
    EXPECT_EQ(encode_frames({"text/odd Hello"}, out), "not a frame: text/odd Hello");
}

}  // namespace
}  // namespace mono::conformance
