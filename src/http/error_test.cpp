#include "http/error.hpp"

#include <gtest/gtest.h>

#include <set>

namespace mono::http {
namespace {

TEST(Describe, EveryRuleHasItsOwnNameAStatusAndASentence) {
    std::set<std::string_view> rules;
    for (int number = 0; number < static_cast<int>(Error::kCount); ++number) {
        const ErrorInfo& info = describe(static_cast<Error>(number));
        EXPECT_TRUE(rules.insert(info.rule).second) << info.rule;
        EXPECT_TRUE(number == 0 ? info.status == 200 : info.status >= 400) << info.rule;
        EXPECT_TRUE(info.detail.ends_with('.')) << info.rule;
    }
}

// The table is positional: these rows are far apart, so a missing row moves at least one.
TEST(Describe, RowsBelongToTheirEnumerators) {
    EXPECT_EQ(describe(Error::kNone).rule, "none");
    EXPECT_EQ(describe(Error::kRequestLineTooLong).status, 414);
    EXPECT_EQ(describe(Error::kVersionInvalid).rule, "version");
    EXPECT_EQ(describe(Error::kProxyHeader).rule, "proxy-header");
    EXPECT_EQ(describe(Error::kProxyUntrusted).status, 403);
    EXPECT_EQ(describe(Error::kProxyTimeout).status, 408);
    EXPECT_EQ(describe(Error::kUwsgiModifier).status, 501);
    EXPECT_EQ(describe(Error::kLengthRequired).status, 411);
    EXPECT_EQ(describe(Error::kTooManyFields).status, 431);
    EXPECT_EQ(describe(Error::kHeadTooLong).rule, "head-too-long");
    EXPECT_EQ(describe(Error::kUnderscoreRefused).rule, "underscore");
    EXPECT_EQ(describe(Error::kSchemeConflict).rule, "scheme-conflict");
    EXPECT_EQ(describe(Error::kTransferEncodingUnknown).status, 501);
    EXPECT_EQ(describe(Error::kExpectationUnknown).status, 417);
    EXPECT_EQ(describe(Error::kChunkEndInvalid).rule, "chunk-end");
    EXPECT_EQ(describe(Error::kTrailersTooLong).status, 431);
    EXPECT_EQ(describe(Error::kBodyTooLarge).status, 413);
    EXPECT_EQ(describe(Error::kBodyTimeout).status, 408);
    EXPECT_EQ(describe(Error::kScriptNameMismatch).status, 500);
    EXPECT_EQ(describe(Error::kStorageFull).status, 503);
}

}  // namespace
}  // namespace mono::http
