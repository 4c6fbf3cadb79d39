#include "config/settings.hpp"

#include <gtest/gtest.h>

#include <set>

#include "config/parse.hpp"

namespace mono::config {
namespace {

TEST(Table, EveryRowIsCompleteAndUnique) {
    std::set<std::string_view> names;
    std::set<std::string_view> classes;
    std::set<std::string> flags;
    for (const Row& row : table()) {
        EXPECT_TRUE(names.insert(row.name).second) << row.name;
        EXPECT_TRUE(classes.insert(row.klass).second) << row.klass;
        EXPECT_FALSE(row.section.empty()) << row.name;
        EXPECT_TRUE(row.doc.ends_with('.')) << row.name;
        EXPECT_EQ(row.note.empty(), row.ready == Ready::kNow) << row.name;
        std::string flag;
        for (char c : std::string(row.flags) + "|") {
            if (c != '|') {
                flag += c;
            } else if (!flag.empty()) {
                EXPECT_TRUE(flags.insert(flag).second) << flag;
                flag.clear();
            }
        }
    }
    EXPECT_GE(names.size(), 127u);
}

TEST(Table, EveryDefaultIsAValueOfItsRow) {
    for (const Row& row : table()) {
        if (row.fallback == nullptr) continue;
        auto value = parse(row, row.fallback);
        EXPECT_TRUE(value.ok()) << (value ? "" : value.sentence());
    }
}

TEST(Table, FlagsLeadToTheirRow) {
    EXPECT_EQ(find_flag("-w")->name, "workers");
    EXPECT_EQ(find_flag("--log-file")->name, "errorlog");
    EXPECT_EQ(find_flag("--error-logfile")->name, "errorlog");
    EXPECT_EQ(find_flag("--work"), nullptr);
    EXPECT_EQ(find_flag(""), nullptr);
}

TEST(Settings, StartWithTheTableDefaults) {
    const Settings settings;
    EXPECT_EQ(settings.limit_request_line, 4094);
    EXPECT_EQ(settings.keepalive, 75);
    EXPECT_EQ(settings.bind, Texts{"127.0.0.1:8000"});
    EXPECT_EQ(settings.accesslog, "");
    EXPECT_TRUE(settings.sendfile);
    EXPECT_FALSE(settings.strip_header_spaces);
    EXPECT_TRUE(settings.suppress_ragged_eofs);
    EXPECT_EQ(settings.forwarded_allow_ips, (Texts{"127.0.0.1", "::1"}));
    ASSERT_EQ(settings.secure_scheme_headers.size(), 3u);
    EXPECT_EQ(settings.secure_scheme_headers[0].first, "X-FORWARDED-PROTOCOL");
    EXPECT_EQ(settings.secure_scheme_headers[0].second, "ssl");
}

TEST(Nearest, FindsWhatWasProbablyMeant) {
    const auto near = [](std::string_view name) {
        const Row* row = nearest(name);
        return row == nullptr ? std::string_view("-") : row->name;
    };
    EXPECT_EQ(near("worker"), "workers");
    EXPECT_EQ(near("keep_alive"), "keepalive");
    EXPECT_EQ(near("time_out"), "timeout");
    EXPECT_EQ(near("log_level"), "loglevel");
    EXPECT_EQ(near("limit_request_feild_size"), "limit_request_field_size");
    EXPECT_EQ(near("access_log"), "accesslog");
    EXPECT_EQ(near("xyzzy_quux"), "-");
    EXPECT_EQ(near("workers"), "workers");
}

}  // namespace
}  // namespace mono::config
