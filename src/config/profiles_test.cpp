#include "config/profiles.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "config/parse.hpp"
#include "config/settings.hpp"

namespace mono::config {
namespace {

int64_t number(const ProfileRow& row) {
    return std::get<int64_t>(parse(*find(row.setting), row.value).value());
}

TEST(Profiles, EveryRowIsAValueOfItsSetting) {
    std::set<std::pair<std::string_view, std::string_view>> seen;
    for (const ProfileRow& row : profiles()) {
        const Row* setting = find(row.setting);
        ASSERT_NE(setting, nullptr) << row.setting;
        EXPECT_TRUE(parse(*setting, row.value).ok()) << row.behind << " " << row.setting;
        EXPECT_TRUE(seen.insert({row.behind, row.setting}).second) << row.behind;
        EXPECT_TRUE(parse(*find("behind"), row.behind).ok()) << row.behind;
        EXPECT_FALSE(row.why.empty() || row.why.ends_with('.')) << row.why;
        EXPECT_TRUE(row.source.empty() || row.source.starts_with("https://")) << row.source;
    }
}

TEST(Profiles, EveryChoiceButNoneHasOne) {
    std::set<std::string> with_rows{"none"};
    for (const ProfileRow& row : profiles()) with_rows.insert(std::string(row.behind));
    std::set<std::string> wanted;
    std::string domain(find("behind")->domain);
    for (size_t at = 0; at != std::string::npos;) {
        const size_t bar = domain.find('|', at);
        wanted.insert(domain.substr(at, bar - at));
        at = bar == std::string::npos ? bar : bar + 1;
    }
    EXPECT_EQ(with_rows, wanted);
}

TEST(Profiles, NoneKillsWhatItDrains) {
    const std::map<std::string_view, int64_t> kills_after_s = {
        {"cloudrun", 10}, {"heroku", 30}, {"k8s", 30}, {"alb", 30}, {"nlb", 30}};
    std::map<std::string_view, int64_t> takes_s;
    for (const ProfileRow& row : profiles()) {
        if (row.setting == "drain_delay" || row.setting == "graceful_timeout")
            takes_s[row.behind] += number(row);
    }
    for (const auto& [behind, limit_s] : kills_after_s) {
        EXPECT_GT(takes_s[behind], 0) << behind;
        EXPECT_LT(takes_s[behind], limit_s) << behind;
    }
}

TEST(Profiles, ConnectionsOutliveTheBalancersInterestInThem) {
    const std::map<std::string_view, int64_t> idle_s = {
        {"nginx", 60}, {"haproxy", 60}, {"alb", 60},       {"nlb", 350}, {"cloudfront", 120},
        {"gclb", 600}, {"heroku", 90},  {"cloudrun", 600}, {"k8s", 60}};
    size_t found = 0;
    for (const ProfileRow& row : profiles()) {
        if (row.setting != "keepalive") continue;
        ++found;
        EXPECT_GT(number(row), idle_s.at(row.behind)) << row.behind;
    }
    EXPECT_EQ(found, idle_s.size());
}

// Whoever is believed about the scheme must not pass on what a client says about it.
TEST(Profiles, TrustGoesWithOneSchemeFieldAndNoNames) {
    std::map<std::string_view, std::map<std::string_view, std::string_view>> found;
    for (const ProfileRow& row : profiles()) found[row.behind][row.setting] = row.value;
    for (const auto& [behind, values] : found) {
        if (!values.contains("forwarded_allow_ips")) continue;
        EXPECT_EQ(values.at("secure_scheme_headers"), "X-FORWARDED-PROTO=https") << behind;
        EXPECT_EQ(values.at("forwarder_headers"), "") << behind;
    }
}

}  // namespace
}  // namespace mono::config
