#include "http1/field_line.hpp"

#include <string_view>

#include "http/scan.hpp"

namespace mono::http1 {
namespace {

constexpr bool is_blank(char byte) { return byte == ' ' || byte == '\t'; }

// The slow path: say what is wrong, a bare CR first (RFC 9112 section 2.2).
LineFault refuse(const FieldLine& line, http::Error error, const char* at) {
    const char* cr = http::scan::find_scalar(line.begin, line.end, '\r');
    if (cr != line.end) return {http::Error::kBareCr, cr};
    return {error, at};
}

base::Slice slice(const FieldLine& line, const char* begin, const char* end) {
    return {static_cast<uint32_t>(begin - line.base), static_cast<uint32_t>(end - begin)};
}

}  // namespace

LineFault parse_field_line(const FieldLine& line, http::Field& field) {
    const char* colon = http::scan::find(line.base, line.begin, line.end, ':');
    if (colon == line.end) return refuse(line, http::Error::kFieldColonMissing, line.begin);
    const char* name_end = colon;
    if (line.strip_spaces)
        while (name_end != line.begin && is_blank(name_end[-1])) --name_end;
    const std::string_view name(line.begin, static_cast<size_t>(name_end - line.begin));
    field.known = http::classify(name);
    if (field.known == http::KnownField::kOther) {  // a known name is a token and has no underscore
        if (!http::is_token(name)) return refuse(line, http::Error::kFieldNameInvalid, line.begin);
        field.underscore = name.find('_') != std::string_view::npos;
    }

    const char* begin = colon + 1;
    const char* end = line.end;
    while (begin != end && is_blank(*begin)) ++begin;
    while (begin != end && is_blank(end[-1])) --end;
    const http::scan::Checked value = http::scan::check_field(line.base, begin, end);
    if (value.bad != end) return refuse(line, http::Error::kFieldValueInvalid, value.bad);
    field.name = slice(line, line.begin, name_end);
    field.value = slice(line, begin, end);
    field.ascii = value.ascii;
    return {};
}

}  // namespace mono::http1
