#include "http/names.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace mono::http {
namespace {

std::string upper(std::string_view text) {
    std::string out(text);
    for (char& byte : out)
        if (byte >= 'a' && byte <= 'z') byte = static_cast<char>(byte - 0x20);
    return out;
}

TEST(Classify, KnowsEveryNameInAnyCase) {
    for (int number = 1; number < static_cast<int>(KnownField::kCount); ++number) {
        const auto field = static_cast<KnownField>(number);
        EXPECT_EQ(classify(wire_name(field)), field) << wire_name(field);
        EXPECT_EQ(classify(upper(wire_name(field))), field) << wire_name(field);
    }
}

// Every known name with one byte changed to anything else but its other case.
TEST(Classify, KnowsNothingElse) {
    for (int number = 1; number < static_cast<int>(KnownField::kCount); ++number) {
        const std::string name(wire_name(static_cast<KnownField>(number)));
        for (size_t at = 0; at < name.size(); ++at) {
            for (int byte = 0; byte < 256; ++byte) {
                std::string other = name;
                other[at] = static_cast<char>(byte);
                const KnownField found = classify(other);
                if (found == KnownField::kOther) continue;
                EXPECT_TRUE(equals_ignoring_case(other, wire_name(found))) << other;
            }
        }
        EXPECT_EQ(classify(name + "x"), KnownField::kOther);
        EXPECT_NE(classify(name.substr(1)), static_cast<KnownField>(number));
    }
    EXPECT_EQ(classify(""), KnownField::kOther);
    EXPECT_EQ(classify("x"), KnownField::kOther);
    EXPECT_EQ(classify(std::string(300, 'a')), KnownField::kOther);
}

TEST(EnvironKey, FollowsFromTheWireName) {
    for (int number = 1; number < static_cast<int>(KnownField::kCount); ++number) {
        const auto field = static_cast<KnownField>(number);
        std::string key = upper(wire_name(field));
        for (char& byte : key)
            if (byte == '-') byte = '_';
        if (field != KnownField::kContentLength && field != KnownField::kContentType)
            key = "HTTP_" + key;
        EXPECT_EQ(environ_key(field), key);
    }
}

TEST(EqualsIgnoringCase, FoldsLettersOnly) {
    EXPECT_TRUE(equals_ignoring_case("", ""));
    EXPECT_TRUE(equals_ignoring_case("aZ", "Az"));
    EXPECT_FALSE(equals_ignoring_case("a", "ab"));
    // Of each size, for the byte loop and both word sizes: any two bytes at any place.
    for (size_t size = 1; size <= 20; ++size) {
        for (size_t at = 0; at < size; ++at) {
            for (int byte = 0; byte < 256; ++byte) {
                std::string left(size, 'q');
                std::string right = left;
                left[at] = static_cast<char>(byte);
                right[at] = static_cast<char>(byte ^ 0x20);
                const int folded = byte | 0x20;
                const bool letter = folded >= 'a' && folded <= 'z';
                EXPECT_EQ(equals_ignoring_case(left, right), letter) << size << " " << byte;
                EXPECT_TRUE(equals_ignoring_case(left, left));
            }
        }
    }
}

TEST(IsToken, IsTheTableOfRfc9110) {
    EXPECT_FALSE(is_token(""));
    const std::string_view punctuation = "!#$%&'*+-.^_`|~";
    for (int number = 0; number < 256; ++number) {
        const char byte = static_cast<char>(number);
        const bool alphanumeric = (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
                                  (byte >= 'A' && byte <= 'Z');
        const bool expected = alphanumeric || punctuation.find(byte) != std::string_view::npos;
        EXPECT_EQ(is_token({&byte, 1}), expected) << number;
        EXPECT_EQ(is_token(std::string("ab") + byte), expected) << number;
    }
}

std::vector<std::string> elements(std::string_view list) {
    std::vector<std::string> found;
    for_each_list_element(list, [&found](std::string_view element) {
        found.emplace_back(element);
        return element != "stop";
    });
    return found;
}

TEST(ForEachListElement, TrimsSkipsAndStops) {
    using List = std::vector<std::string>;
    EXPECT_EQ(elements(""), List());
    EXPECT_EQ(elements(" , ,\t,"), List());
    EXPECT_EQ(elements(" a b ,c,\td\t"), (List{"a b", "c", "d"}));
    EXPECT_EQ(elements("a, stop, b"), (List{"a", "stop"}));
}

}  // namespace
}  // namespace mono::http
