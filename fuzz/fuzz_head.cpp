// A connection's stream of requests: the transcript must not depend on how the bytes arrive, and
// a head that is accepted must be read the same when it is written again.
#include <string>

#include "fuzz.hpp"
#include "message_driver.hpp"

namespace mono::fuzz {
namespace {

constexpr size_t kInputBytesMax = 16 * 1024;

conformance::DriverRules rules_from(Random& random) {
    conformance::DriverRules rules;
    http1::HeadRules& head = rules.head;
    if (random.one_in(2)) return rules;
    head.permit_obsolete_folding = random.one_in(2);
    head.strip_header_spaces = random.one_in(4);
    head.permit_unconventional_http_method = random.one_in(4);
    head.permit_unconventional_http_version = random.one_in(4);
    head.casefold_http_method = random.one_in(4);
    if (random.one_in(4)) head.line_bytes_max = random.below(64);
    if (random.one_in(4)) head.field_bytes_max = random.below(64);
    if (random.one_in(4)) head.fields_max = random.below(8);
    if (random.one_in(4)) head.head_bytes_max = 1 + random.below(256);
    rules.peer_trusted = random.one_in(2);
    rules.trust.header_map = static_cast<http::HeaderMap>(random.below(3));
    return rules;
}

void same_for_every_split(std::string_view input, const conformance::DriverRules& rules,
                          Random& random) {
    conformance::MessageDriver whole(rules);
    whole.feed(input);
    whole.finish();
    for (int round = 0; round < 3; ++round) {
        conformance::MessageDriver pieces(rules);
        in_pieces(input, random, [&pieces](std::string_view piece) { pieces.feed(piece); });
        pieces.finish();
        require(pieces.events() == whole.events(), "the transcript depends on the split");
    }
}

void inside(const base::Slice& slice, uint32_t length, const char* what) {
    require(slice.offset <= length && slice.length <= length - slice.offset, what);
}

void check_slices(const char* buffer, const http::RequestHead& head) {
    inside(head.method, head.length, "method outside the head");
    inside(head.target, head.length, "target outside the head");
    inside(head.path, head.length, "path outside the head");
    inside(head.query, head.length, "query outside the head");
    inside(head.authority, head.length, "authority outside the head");
    for (const char byte : head.target.in(buffer))
        require(byte > 0x20 && byte < 0x7F, "a target byte that is none");
    for (const http::Field& field : head.fields) {
        inside(field.name, head.length, "name outside the head");
        inside(field.value, head.length, "value outside the head");
        require(http::is_token(field.name.in(buffer)), "a name that is no token");
        bool ascii = true;
        for (const char byte : field.value.in(buffer)) {
            const auto value = static_cast<uint8_t>(byte);
            require((value >= 0x20 && value != 0x7F) || value == '\t', "a control byte in a value");
            ascii &= value < 0x80;
        }
        require(ascii == field.ascii, "the ascii flag is wrong");
        require(field.known == http::classify(field.name.in(buffer)), "the known name is wrong");
        require(field.underscore == (field.name.in(buffer).find('_') != std::string_view::npos),
                "the underscore flag is wrong");
    }
}

std::string write_again(const char* buffer, const http::RequestHead& head) {
    std::string text(head.method.in(buffer));
    text.append(" ").append(head.target.in(buffer)).append(" HTTP/");
    text += static_cast<char>('0' + head.version_major);
    text += '.';
    text += static_cast<char>('0' + head.version_minor);
    text += "\r\n";
    for (const http::Field& field : head.fields)
        text.append(field.name.in(buffer))
            .append(":")
            .append(field.value.in(buffer))
            .append("\r\n");
    return text + "\r\n";
}

void reads_what_it_wrote(std::string_view input, const http1::HeadRules& rules) {
    std::string buffer(input);
    http1::HeadParser parser(rules);
    http::RequestHead head;
    const auto size = static_cast<uint32_t>(buffer.size());
    const http1::ParseStatus status = parser.parse(buffer.data(), size, head);
    if (status == http1::ParseStatus::kFailed)
        require(parser.error_offset() <= size, "an error outside the input");
    if (status != http1::ParseStatus::kComplete) return;
    require(head.length <= size, "a head longer than the input");
    check_slices(buffer.data(), head);

    std::string again = write_again(buffer.data(), head);
    require(again.size() <= head.length, "the shortest form is not shorter");
    http1::HeadParser second(rules);
    http::RequestHead copy;
    const auto again_size = static_cast<uint32_t>(again.size());
    require(second.parse(again.data(), again_size, copy) == http1::ParseStatus::kComplete,
            "an accepted head is refused when written again");
    require(write_again(again.data(), copy) == again, "an accepted head changes");
    require(copy.path.in(again.data()) == head.path.in(buffer.data()), "the path changes");
    const http::FramingError one = http1::apply_framing(buffer.data(), head);
    const http::FramingError two = http1::apply_framing(again.data(), copy);
    require(one.error == two.error, "the framing changes");
    require(head.body == copy.body && head.content_length == copy.content_length &&
                head.keep_alive == copy.keep_alive,
            "what follows from the framing changes");
}

}  // namespace
}  // namespace mono::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace mono::fuzz;
    if (size > kInputBytesMax) return 0;
    const std::string_view input = as_text(data, size);
    Random random(input);
    const mono::conformance::DriverRules rules = rules_from(random);
    same_for_every_split(input, rules, random);
    reads_what_it_wrote(input, rules.head);
    return 0;
}
