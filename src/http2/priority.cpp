#include "http2/priority.hpp"

#include "http/names.hpp"

namespace mono::http2 {
namespace {

// Parameters of a member (RFC 8941 section 3.1.2) say nothing to us.
std::string_view without_parameters(std::string_view member) {
    return member.substr(0, member.find(';'));
}

}  // namespace

Priority parse_priority(std::string_view value) {
    Priority priority;
    http::for_each_list_element(value, [&](std::string_view element) {
        const std::string_view member = without_parameters(element);
        if (member.size() == 3 && member.starts_with("u=") && member[2] >= '0' && member[2] <= '7')
            priority.urgency = static_cast<uint8_t>(member[2] - '0');
        if (member == "i" || member == "i=?1") priority.incremental = true;
        if (member == "i=?0") priority.incremental = false;
        return true;
    });
    return priority;
}

}  // namespace mono::http2
