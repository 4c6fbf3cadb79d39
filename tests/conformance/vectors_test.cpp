// Every case of tests/vectors through the parsers: whole, a byte at a time, at every split.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "message_driver.hpp"
#include "vector_file.hpp"

namespace mono::conformance {

// For GoogleTest's messages; found by the type's namespace.
static void PrintTo(const VectorCase& vector, std::ostream* out) {
    *out << vector.group << "/" << vector.file << ":" << vector.line << ": " << vector.title;
}

namespace {

constexpr size_t kEverySplitBytes = 2048;  // above, splits are a prime step apart
constexpr size_t kSplitStep = 613;
constexpr size_t kSmallestCount = 300;

// Which groups the parsers alone can run.
bool is_ours(const VectorCase& vector) {
    return vector.group == "h1" || vector.group == "h1_invalid" || vector.group == "chunked";
}

struct Loaded {
    std::vector<VectorCase> cases;
    std::vector<std::string> problems;
};

Loaded load() {
    Loaded loaded;
    loaded.cases = load_vectors(MONO_VECTORS, loaded.problems);
    std::erase_if(loaded.cases, [](const VectorCase& vector) { return !is_ours(vector); });
    return loaded;
}

std::vector<std::string> run(const DriverRules& rules,
                             const std::vector<std::string_view>& pieces) {
    MessageDriver driver(rules);
    for (const std::string_view piece : pieces) driver.feed(piece);
    driver.finish();
    return driver.events();
}

class Vectors : public testing::TestWithParam<VectorCase> {
  protected:
    void SetUp() override { ASSERT_EQ(rules.apply(GetParam().settings), ""); }

    DriverRules rules;
    const std::string_view bytes = GetParam().bytes;
};

TEST_P(Vectors, Whole) { EXPECT_EQ(compare(GetParam().events, run(rules, {bytes})), ""); }

TEST_P(Vectors, AByteAtATime) {
    // A large head would be copied for each byte: pieces of a few bytes then.
    const size_t step = bytes.size() <= kEverySplitBytes ? 1 : 61;
    std::vector<std::string_view> pieces;
    for (size_t at = 0; at < bytes.size(); at += step) pieces.push_back(bytes.substr(at, step));
    EXPECT_EQ(compare(GetParam().events, run(rules, pieces)), "");
}

TEST_P(Vectors, EverySplit) {
    const size_t step = bytes.size() <= kEverySplitBytes ? 1 : kSplitStep;
    for (size_t at = 1; at < bytes.size(); at += step) {
        ASSERT_EQ(compare(GetParam().events, run(rules, {bytes.substr(0, at), bytes.substr(at)})),
                  "")
            << "split at " << at;
    }
}

std::string name_of(const testing::TestParamInfo<VectorCase>& info) {
    std::string name =
        info.param.group + "_" + info.param.file + "_" + std::to_string(info.param.line);
    std::replace_if(
        name.begin(), name.end(), [](char byte) { return !std::isalnum(byte) && byte != '_'; },
        '_');
    return name;
}

INSTANTIATE_TEST_SUITE_P(Md, Vectors, testing::ValuesIn(load().cases), name_of);

TEST(VectorFiles, AreWellFormed) {
    const Loaded loaded = load();
    EXPECT_EQ(loaded.problems, std::vector<std::string>());
    std::set<std::string> titles;
    std::set<std::string> contents;
    for (const VectorCase& vector : loaded.cases) {
        EXPECT_FALSE(vector.bytes.empty()) << vector.file << ": " << vector.title;
        EXPECT_TRUE(titles.insert(vector.file + vector.title).second) << vector.title;
        std::string content = vector.bytes;
        for (const auto& [key, value] : vector.settings) content += "|" + key + "=" + value;
        EXPECT_TRUE(contents.insert(content).second) << "twice: " << vector.title;
    }
    EXPECT_GE(loaded.cases.size(), kSmallestCount);
}

// What belongs to what stands around HTTP/1: openings of connections, uwsgi, proxies' fields. The
// tests beside src/proxy, src/uwsgi and src/http/forwarded raise them, and those of the engine.
bool is_of_another_protocol(http::Error error) {
    using http::Error;
    return error == Error::kPlainHttp ||
           (error >= Error::kProxyUntrusted && error <= Error::kLengthRequired) ||
           error == Error::kForwardedMalformed || error == Error::kForwardedConflict;
}

// What this folder never raises: limits, time, the server's own state, a rule nobody demands.
bool is_elsewhere(http::Error error) {
    using http::Error;
    return is_of_another_protocol(error) || error == Error::kNone || error == Error::kHostMissing ||
           error == Error::kBodyTooLarge || error == Error::kHeadTimeout ||
           error == Error::kBodyTimeout || error == Error::kBodyTooSlow ||
           error == Error::kScriptNameMismatch || error == Error::kStorageFull ||
           error == Error::kStorageLimit || error == Error::kRequestTimeout ||
           error == Error::kQueueTimeout || error == Error::kStopping;
}

TEST(VectorFiles, RaiseEveryRule) {
    std::set<std::string> raised;
    for (const VectorCase& vector : load().cases)
        for (const std::string& event : vector.events)
            if (event.starts_with("error ")) raised.insert(event.substr(6, event.find(' ', 6) - 6));
    for (int number = 0; number < static_cast<int>(http::Error::kCount); ++number) {
        const auto error = static_cast<http::Error>(number);
        if (is_elsewhere(error)) continue;
        EXPECT_TRUE(raised.contains(std::string(http::describe(error).rule)))
            << http::describe(error).rule;
    }
}

TEST(VectorFormat, EscapesAndRepeats) {
    std::string out;
    ASSERT_TRUE(unescape(R"(a\r\n\t\0\\\x7f\{ab*3}\{\xff*2})", out));
    EXPECT_EQ(out, std::string("a\r\n\t\0\\\x7f"
                               "ababab\xff\xff",
                               15));
    EXPECT_EQ(escape(out), R"(a\r\n\t\0\\\x7Fababab\xFF\xFF)");
    for (const char* wrong : {R"(\q)", R"(\)", R"(\x1)", R"(\{a})", R"(\{a*})", R"(\{a*x})"})
        EXPECT_FALSE(unescape(wrong, out)) << wrong;
}

TEST(VectorFormat, MistakesAreNamed) {
    std::vector<VectorCase> cases;
    VectorCase origin;
    origin.file = "x.md";
    EXPECT_EQ(parse_vectors("```http\n", origin, cases), "x.md:1: a block before the first title");
    EXPECT_EQ(parse_vectors("## a\n```http\n\\q\n", origin, cases), "x.md:3: an unknown escape");
    EXPECT_EQ(parse_vectors("## a\n```http\nx\n", origin, cases), "x.md:3: a block without end");
    EXPECT_EQ(parse_vectors("## a\n```\n", origin, cases), "x.md:2: a stray fence");
}

TEST(Compare, SeesDifferences) {
    const std::vector<std::string> got = {"request GET / 1.1", "path /", "end"};
    EXPECT_EQ(compare({"request GET / 1.1", "end"}, got), "");
    EXPECT_NE(compare({"request GET / 1.1", "path /x", "end"}, got), "");
    EXPECT_NE(compare({"request GET / 1.1"}, got), "");
    EXPECT_NE(compare({"request GET / 1.1", "end", "request GET / 1.1", "end"}, got), "");
    EXPECT_NE(compare({"request GET / 1.1", "keep-alive no", "end"}, got), "");
}

}  // namespace
}  // namespace mono::conformance
