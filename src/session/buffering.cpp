#include "session/buffering.hpp"

#include <algorithm>

namespace mono::session {

base::Result<BufferingRules> BufferingRules::parse(const config::Texts& items) {
    BufferingRules result;
    for (const std::string& item : items) {
        auto rule = config::parse_buffering(item);
        if (!rule) return base::Failure{rule.sentence()};
        result.rules_.push_back(std::move(rule.value()));
    }
    // Of two for one prefix the later one counts, as with every other setting.
    std::reverse(result.rules_.begin(), result.rules_.end());
    std::stable_sort(result.rules_.begin(), result.rules_.end(),
                     [](const config::BufferingRule& left, const config::BufferingRule& right) {
                         return left.prefix.size() > right.prefix.size();
                     });
    return result;
}

uint64_t BufferingRules::stream_above(std::string_view path, uint64_t otherwise) const {
    for (const config::BufferingRule& rule : rules_) {
        if (path.starts_with(rule.prefix)) return rule.stream_above;
    }
    return otherwise;
}

}  // namespace mono::session
