#include "http2/fault.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string_view>

namespace mono::http2 {
namespace {

TEST(Fault, RowsStandInTheOrderOfTheEnumeration) {
    EXPECT_EQ(describe(Fault::kNone).rule, "none");
    EXPECT_EQ(describe(Fault::kPreface).rule, "h2-preface");
    EXPECT_EQ(describe(Fault::kStreamOrder).rule, "h2-stream-order");
    EXPECT_EQ(describe(Fault::kResetFlood).rule, "h2-reset-flood");
    EXPECT_EQ(describe(Fault::kWindowUpdateFlood).rule, "h2-window-update-flood");
    EXPECT_EQ(describe(Fault::kInternal).rule, "h2-internal");
}

TEST(Fault, EachHasARuleOfItsOwnAndASentence) {
    std::set<std::string_view> rules;
    for (size_t at = 0; at < static_cast<size_t>(Fault::kCount); ++at) {
        const FaultInfo& info = describe(static_cast<Fault>(at));
        EXPECT_TRUE(rules.insert(info.rule).second) << info.rule;
        EXPECT_TRUE(info.detail.ends_with('.')) << info.rule;
    }
}

TEST(Fault, FloodsAskForCalm) {
    EXPECT_EQ(describe(Fault::kPingFlood).code, Code::kEnhanceYourCalm);
    EXPECT_EQ(describe(Fault::kOutputFlood).code, Code::kEnhanceYourCalm);
    EXPECT_EQ(describe(Fault::kStreamEnded).code, Code::kStreamClosed);
}

}  // namespace
}  // namespace mono::http2
