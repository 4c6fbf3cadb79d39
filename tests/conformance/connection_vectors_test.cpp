// Every case of tests/vectors through a whole connection: what the application is given must be
// what the parsers found, whatever the pieces and wherever the body lies.
#include <gtest/gtest.h>

#include "connection_driver.hpp"
#include "vector_file.hpp"

namespace mono::conformance {
namespace {

constexpr size_t kEverySplitBytes = 1024;  // above, splits are a prime step apart
constexpr size_t kSplitStep = 613;
constexpr uint64_t kMemory[] = {0, 3, 65536};  // bodies in a spill, moved to one, in memory

std::vector<VectorCase> load() {
    std::vector<std::string> problems;
    std::vector<VectorCase> cases = load_vectors(MONO_VECTORS, problems);
    std::erase_if(cases, [](const VectorCase& vector) {
        return !vector.group.starts_with("h1") && vector.group != "chunked";
    });
    return cases;
}

// What differs, or nothing.
std::string run(const VectorCase& vector, const std::vector<std::string_view>& pieces) {
    DriverRules rules;
    if (std::string problem = rules.apply(vector.settings); !problem.empty()) return problem;
    std::vector<std::string> expected = vector.events;
    std::erase_if(expected, [](const std::string& line) { return line.starts_with("trailer "); });
    for (uint64_t memory : kMemory) {
        ConnectionDriver driver(rules, memory);
        for (std::string_view piece : pieces) driver.feed(piece);
        driver.finish();
        std::string difference = compare(expected, driver.events());
        if (!difference.empty()) return std::to_string(memory) + " in memory: " + difference;
    }
    return {};
}

class ConnectionVectors : public testing::Test {
  protected:
    const std::vector<VectorCase> cases_ = load();
    static std::string name(const VectorCase& vector) {
        return vector.group + "/" + vector.file + ":" + std::to_string(vector.line);
    }
};

TEST_F(ConnectionVectors, Whole) {
    for (const VectorCase& vector : cases_)
        EXPECT_EQ(run(vector, {vector.bytes}), "") << name(vector);
    EXPECT_GE(cases_.size(), 300u);
}

TEST_F(ConnectionVectors, AByteAtATime) {
    for (const VectorCase& vector : cases_) {
        const std::string_view bytes = vector.bytes;
        const size_t step = bytes.size() <= kEverySplitBytes ? 1 : 61;
        std::vector<std::string_view> pieces;
        for (size_t at = 0; at < bytes.size(); at += step) pieces.push_back(bytes.substr(at, step));
        EXPECT_EQ(run(vector, pieces), "") << name(vector);
    }
}

TEST_F(ConnectionVectors, EverySplit) {
    for (const VectorCase& vector : cases_) {
        const std::string_view bytes = vector.bytes;
        const size_t step = bytes.size() <= kEverySplitBytes ? 1 : kSplitStep;
        for (size_t at = 1; at < bytes.size(); at += step) {
            ASSERT_EQ(run(vector, {bytes.substr(0, at), bytes.substr(at)}), "")
                << name(vector) << " split at " << at;
        }
    }
}

TEST(ConnectionDriver, SeesADifference) {
    VectorCase vector;
    vector.bytes = "GET / HTTP/1.1\r\n\r\n";
    vector.events = {"request GET / 1.1", "end"};
    EXPECT_EQ(run(vector, {vector.bytes}), "");
    vector.events = {"request GET /x 1.1", "end"};
    EXPECT_NE(run(vector, {vector.bytes}), "");
}

}  // namespace
}  // namespace mono::conformance
