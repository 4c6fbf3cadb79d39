#include "uwsgi/packet.hpp"

#include <gtest/gtest.h>

#include <vector>

#include "uwsgi/support_test.hpp"

namespace mono::uwsgi {
namespace {

using http::Error;

constexpr size_t kMax = 65536;

TEST(TakePacket, IsHereWhenItsLastByteIs) {
    const std::string bytes = packet({{"REQUEST_METHOD", "GET"}, {"EMPTY", ""}}) + "body";
    const size_t whole = bytes.size() - 4;
    for (size_t size = 0; size <= bytes.size(); ++size) {
        const std::vector<char> part(bytes.begin(), bytes.begin() + size);
        const Packet taken = take_packet({part.data(), part.size()}, kMax);
        EXPECT_EQ(taken.status, size < whole ? Status::kNeedMore : Status::kDone) << size;
        if (size >= whole) {
            EXPECT_EQ(taken.size, whole);
            EXPECT_EQ(taken.variables.size(), whole - kPrefixBytes);
        }
    }
}

TEST(TakePacket, Empty) {
    const Packet taken = take_packet(std::string_view("\0\0\0\0", 4), kMax);
    EXPECT_EQ(taken.status, Status::kDone);
    EXPECT_EQ(taken.size, kPrefixBytes);
    EXPECT_TRUE(taken.variables.empty());
}

TEST(TakePacket, TheLargest) {
    const std::string bytes = framed(std::string(65535, 'x'));
    EXPECT_EQ(take_packet(bytes, bytes.size()).size, bytes.size());
    const Packet refused = take_packet(bytes, bytes.size() - 1);
    EXPECT_EQ(refused.fault.error, Error::kHeadTooLong);
    EXPECT_EQ(refused.fault.offset, 1u);
    // Before it is here.
    EXPECT_EQ(take_packet(bytes.substr(0, 4), 100).status, Status::kMalformed);
}

TEST(TakePacket, OtherKindsAreKnownByTheirFirstByte) {
    for (const std::string& bytes : {std::string("GET / HTTP/1.1\r\n\r\n"), framed("", 30),
                                     std::string("\x16\x03\x01"), std::string("\xFF")}) {
        for (size_t size = 1; size <= bytes.size(); ++size) {
            const Packet taken = take_packet(std::string_view(bytes).substr(0, size), kMax);
            EXPECT_EQ(taken.status, Status::kMalformed);
            EXPECT_EQ(taken.fault.error, Error::kUwsgiModifier);
        }
    }
}

TEST(ForEachVariable, NamesAndValuesInTheirOrder) {
    const std::string bytes = packet({{"A", "1"}, {"", ""}, {"A", "2"}});
    std::string seen;
    std::vector<size_t> offsets;
    const Fault fault = for_each_variable(
        std::string_view(bytes).substr(kPrefixBytes), [&](const Variable& variable) -> Fault {
            seen.append(variable.name).append("=").append(variable.value).append(";");
            offsets.push_back(variable.offset);
            return {};
        });
    EXPECT_EQ(fault.error, Error::kNone);
    EXPECT_EQ(seen, "A=1;=;A=2;");
    EXPECT_EQ(offsets, (std::vector<size_t>{4, 10, 14}));
}

TEST(ForEachVariable, CutShortAnywhere) {
    const std::string bytes = packet({{"NAME", "value"}, {"OTHER", "value"}});
    const std::string_view variables = std::string_view(bytes).substr(kPrefixBytes);
    const size_t second = 2 + 4 + 2 + 5;
    for (size_t size = 1; size < variables.size(); ++size) {
        if (size == second) continue;
        const std::vector<char> part(variables.begin(), variables.begin() + size);
        const Fault fault = for_each_variable({part.data(), part.size()},
                                              [](const Variable&) -> Fault { return {}; });
        EXPECT_EQ(fault.error, Error::kUwsgiVariable) << size;
        EXPECT_EQ(fault.offset, kPrefixBytes + (size < second ? 0 : second)) << size;
    }
}

TEST(ForEachVariable, NotMoreThanAThousand) {
    const std::string one("\1\0A\0\0", 5);
    std::string variables;
    for (size_t count = 0; count < kVariablesMax; ++count) variables += one;
    const auto nothing = [](const Variable&) -> Fault { return {}; };
    EXPECT_EQ(for_each_variable(variables, nothing).error, Error::kNone);
    EXPECT_EQ(for_each_variable(variables + one, nothing).error, Error::kTooManyFields);
}

}  // namespace
}  // namespace mono::uwsgi
