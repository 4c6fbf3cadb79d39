// "METHOD target": the parts lie inside the target and add up to it; percent-decoding and the
// grammar of Host hold their promises for any bytes.
#include <algorithm>
#include <memory>
#include <string>

#include "fuzz.hpp"
#include "http/target.hpp"

namespace mono::fuzz {
namespace {

constexpr size_t kInputBytesMax = 4096;

bool is_inside(const base::Slice& part, const base::Slice& whole) {
    return part.offset >= whole.offset &&
           uint64_t{part.offset} + part.length <= uint64_t{whole.offset} + whole.length;
}

void check_parts(const char* buffer, const http::RequestHead& head) {
    require(is_inside(head.path, head.target), "the path is outside the target");
    require(is_inside(head.query, head.target), "the query is outside the target");
    require(is_inside(head.authority, head.target), "the authority is outside the target");
    const std::string_view path = head.path.in(buffer);
    const std::string_view target = head.target.in(buffer);
    require(path.find_first_of("?#") == std::string_view::npos, "the path goes too far");
    require(head.query.in(buffer).find('#') == std::string_view::npos, "the query goes too far");
    require(head.path_plain == (path.find('%') == std::string_view::npos), "path_plain is wrong");
    switch (head.form) {
        case http::TargetForm::kOrigin: {
            require(path.starts_with('/'), "origin form without a slash");
            std::string sum(path);
            if (target.size() > sum.size() && target[sum.size()] == '?')
                sum.append("?").append(head.query.in(buffer));
            const size_t fragment = std::min(target.find('#'), target.size());
            require(sum == target.substr(0, fragment), "the parts do not add up");
            break;
        }
        case http::TargetForm::kAbsolute:
            require(path.starts_with('/'), "absolute form without a slash");
            require(http::is_valid_host(head.authority.in(buffer)), "an invalid authority");
            require(!head.authority.empty(), "an empty authority");
            require(head.authority.in(buffer).find('@') == std::string_view::npos,
                    "user information is accepted");
            break;
        case http::TargetForm::kAuthority:
            require(head.authority == head.target, "authority form is not the target");
            require(http::is_valid_host(target), "an invalid authority");
            break;
        case http::TargetForm::kAsterisk:
            require(target == "*", "no asterisk");
            break;
    }
}

void check_split(std::string_view input) {
    const size_t space = std::min(input.find(' '), input.size());
    const auto block = std::make_unique<char[]>(input.size());
    input.copy(block.get(), input.size());
    http::RequestHead head;
    head.method = {0, static_cast<uint32_t>(space)};
    const size_t begin = std::min(space + 1, input.size());
    head.target = {static_cast<uint32_t>(begin), static_cast<uint32_t>(input.size() - begin)};
    if (http::split_target(block.get(), head) == http::Error::kNone) check_parts(block.get(), head);
}

int hex_digit(char byte) {
    const size_t at = std::string_view("0123456789abcdef0123456789ABCDEF").find(byte);
    return at == std::string_view::npos ? -1 : static_cast<int>(at % 16);
}

// The plainest decoder there is, to compare with.
std::string decode_plainly(std::string_view text) {
    std::string out;
    for (size_t at = 0; at < text.size(); ++at) {
        const bool triplet = text[at] == '%' && at + 2 < text.size() &&
                             hex_digit(text[at + 1]) >= 0 && hex_digit(text[at + 2]) >= 0;
        out += triplet ? static_cast<char>(hex_digit(text[at + 1]) * 16 + hex_digit(text[at + 2]))
                       : text[at];
        if (triplet) at += 2;
    }
    return out;
}

void check_decode(std::string_view input) {
    const auto out = std::make_unique<char[]>(input.size());
    const size_t size = http::percent_decode(input, out.get());
    require(size <= input.size(), "decoding makes it longer");
    require(std::string_view(out.get(), size) == decode_plainly(input), "decoded otherwise");
    std::string in_place(input);
    in_place.resize(http::percent_decode(in_place, in_place.data()));
    require(in_place == std::string_view(out.get(), size), "in place is otherwise");
}

void check_host(std::string_view input) {
    if (!http::is_valid_host(input)) return;
    for (const char byte : input)
        require(byte > 0x20 && byte < 0x7F &&
                    std::string_view("/?#@\\\"<>^`{|}").find(byte) == std::string_view::npos,
                "a byte that no host has");
}

}  // namespace
}  // namespace mono::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace mono::fuzz;
    if (size > kInputBytesMax) return 0;
    const std::string_view input = as_text(data, size);
    check_split(input);
    check_decode(input);
    check_host(input);
    return 0;
}
