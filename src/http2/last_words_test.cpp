#include "http2/last_words.hpp"

#include <gtest/gtest.h>

#include <string>

#include "http2/client_test.hpp"

namespace mono::http2 {
namespace {

std::string last_words(uint32_t stream, std::string_view body) {
    std::string bytes(kLastWordsMax, '\0');
    bytes.resize(write_last_words(stream, body, bytes.data()));
    return bytes;
}

// A connection whose tables are in use, with a request that waits.
struct Waiting {
    Waiting() {
        pair.client.get("/first", {{"x", "y"}});
        pair.run();
        stream = pair.client.post("a", {}, {}, true);
        pair.session().feed(pair.client.output(), 0);
    }
    Pair pair;
    uint32_t stream = 0;
};

TEST(LastWords, AreAWholeResponse) {
    Waiting waiting;
    waiting.pair.client.feed(last_words(waiting.stream, "<p>gone</p>"));
    const Response& response = waiting.pair.client.response(waiting.stream);
    EXPECT_EQ(response.status, "502");
    EXPECT_EQ(response.fields, (Pairs{{"content-type", "text/html"}, {"content-length", "011"}}));
    EXPECT_EQ(response.body, "<p>gone</p>");
}

TEST(LastWords, MayHaveNoBody) {
    Waiting waiting;
    waiting.pair.client.feed(last_words(waiting.stream, ""));
    const Response& response = waiting.pair.client.response(waiting.stream);
    EXPECT_EQ(response.status, "502");
    EXPECT_EQ(response.fields, (Pairs{{"content-type", "text/html"}}));
}

TEST(LastWords, StayWithinTheirBound) {
    EXPECT_LE(last_words(0x7FFFFFFF, std::string(10'000, 'x')).size(), kLastWordsMax);
    EXPECT_NE(last_words(1, std::string(10'000, 'x')).find("256"), std::string::npos);
}

}  // namespace
}  // namespace mono::http2
