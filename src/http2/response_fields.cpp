#include "http2/response_fields.hpp"

#include <charconv>

namespace mono::http2 {
namespace {

bool is_of_connection(std::string_view name) {
    switch (name.size()) {
        case 7:
            return name == "upgrade";
        case 10:
            return name == "connection" || name == "keep-alive";
        case 16:
            return name == "proxy-connection";
        case 17:
            return name == "transfer-encoding";
        default:
            return false;
    }
}

std::string_view trim(std::string_view text) {
    const size_t begin = text.find_first_not_of(" \t");
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

void lower(char* begin, const char* end) {
    for (; begin != end; ++begin)
        if (*begin >= 'A' && *begin <= 'Z') *begin = static_cast<char>(*begin + ('a' - 'A'));
}

}  // namespace

void ResponseFields::read(std::string_view lines, bool websocket) {
    text_ = lines;
    list_.clear();
    content_length_.reset();
    announces_trailers_ = false;
    size_t at = 0;
    while (at < text_.size()) {
        size_t end = text_.find("\r\n", at);
        if (end == std::string::npos) end = text_.size();
        const size_t colon = text_.find(':', at);
        if (colon < end && colon > at) {
            lower(text_.data() + at, text_.data() + colon);
            const std::string_view view(text_);
            take(view.substr(at, colon - at), trim(view.substr(colon + 1, end - colon - 1)),
                 websocket);
        }
        at = end + 2;
    }
}

void ResponseFields::take(std::string_view name, std::string_view value, bool websocket) {
    if (is_of_connection(name)) return;
    if (websocket && name == "sec-websocket-accept") return;
    if (name == "content-length") {
        uint64_t length = 0;
        const char* end = value.data() + value.size();
        if (std::from_chars(value.data(), end, length).ptr == end && !value.empty())
            content_length_ = length;
    }
    if (name == "trailer") announces_trailers_ = true;
    list_.push_back({name, value});
}

}  // namespace mono::http2
