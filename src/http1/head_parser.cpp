#include "http1/head_parser.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include "http/scan.hpp"
#include "http/target.hpp"
#include "http1/field_line.hpp"
#include "http1/other_protocol.hpp"

namespace mono::http1 {
namespace {

constexpr bool is_blank(char byte) { return byte == ' ' || byte == '\t'; }
constexpr bool is_digit(char byte) { return byte >= '0' && byte <= '9'; }

// What a method is made of unless the rules are lenient: token bytes but "#" and a to z.
constexpr std::array<bool, 256> make_method_bytes() {
    std::array<bool, 256> table{};
    for (const char byte : std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!$%&'*+-.^_`|~"))
        table[static_cast<uint8_t>(byte)] = true;
    return table;
}
constexpr std::array<bool, 256> kMethodBytes = make_method_bytes();

// The first space of the line, or its end; `plain`: all before it are method bytes.
char* find_method_end(char* begin, char* end, bool& plain) {
    char* at = begin;
    while (at != end && kMethodBytes[static_cast<uint8_t>(*at)]) ++at;
    plain = at == end || *at == ' ';
    while (at != end && *at != ' ') ++at;
    return at;
}

bool is_method(std::string_view method, bool plain, const HeadRules& rules) {
    if (rules.permit_unconventional_http_method) return http::is_token(method);
    return plain && method.size() >= 3 && method.size() <= 20;
}

void to_upper(char* text, size_t size) {
    for (size_t at = 0; at < size; ++at)
        if (text[at] >= 'a' && text[at] <= 'z') text[at] = static_cast<char>(text[at] - 0x20);
}

// HTTP/d.d, RFC 9112 section 2.3; major 1 only unless the rules say otherwise.
bool read_version(const char* begin, const char* end, const HeadRules& rules,
                  http::RequestHead& head) {
    if (end - begin != 8 || std::memcmp(begin, "HTTP/", 5) != 0) return false;
    if (!is_digit(begin[5]) || begin[6] != '.' || !is_digit(begin[7])) return false;
    head.version_major = static_cast<uint8_t>(begin[5] - '0');
    head.version_minor = static_cast<uint8_t>(begin[7] - '0');
    return head.version_major == 1 || rules.permit_unconventional_http_version;
}

struct Line {
    char* base;
    char* begin;
    char* end;  // the CR
};

base::Slice slice(const Line& line, const char* begin, const char* end) {
    return {static_cast<uint32_t>(begin - line.base), static_cast<uint32_t>(end - begin)};
}

LineFault read_request_line(const Line& line, const HeadRules& rules, http::RequestHead& head) {
    bool plain = false;
    char* const first = find_method_end(line.begin, line.end, plain);
    if (first == line.end) return {http::Error::kRequestLineMalformed, line.begin};
    const char* const target = first + 1;
    const char* const second = http::scan::find(line.base, target, line.end, ' ');
    if (second == line.end) return {http::Error::kRequestLineMalformed, line.begin};

    const auto method_size = static_cast<size_t>(first - line.begin);
    if (!is_method({line.begin, method_size}, plain, rules))
        return {http::Error::kMethodInvalid, line.begin};
    const char* const bad = http::scan::check_target(line.base, target, second);
    if (bad != second || target == second) return {http::Error::kTargetInvalid, bad};
    if (!read_version(second + 1, line.end, rules, head))
        return {http::Error::kVersionInvalid, second + 1};

    if (rules.casefold_http_method) to_upper(line.begin, method_size);
    head.method = slice(line, line.begin, first);
    head.target = slice(line, target, second);
    head.head_method = head.method.in(line.base) == "HEAD";
    return {http::split_target(line.base, head), target};
}

// Joins the parts of a folded field with one space each (RFC 9112 section 5.2), in place.
// Returns the new end, or nullptr with `fault` set. The parts' own line ends are checked here.
char* unfold(const Line& line, LineFault& fault) {
    const char* first_end = http::scan::find_scalar(line.begin, line.end, '\n');
    if (http::scan::find_scalar(line.begin, first_end, ':') == first_end) {
        fault = {http::Error::kFieldColonMissing, line.begin};
        return nullptr;
    }
    char* write = line.begin;
    const char* read = line.begin;
    while (true) {
        const char* lf = http::scan::find_scalar(read, line.end, '\n');
        const bool last = lf == line.end;
        if (!last && (lf == read || lf[-1] != '\r')) {
            fault = {http::Error::kBareLf, lf};
            return nullptr;
        }
        const char* part_end = last ? line.end : lf - 1;
        while (part_end != read && is_blank(part_end[-1])) --part_end;
        if (read != line.begin) {
            while (read != part_end && is_blank(*read)) ++read;
            *write++ = ' ';
        }
        const auto size = static_cast<size_t>(part_end - read);
        std::memmove(write, read, size);
        write += size;
        if (last) return write;
        read = lf + 1;
    }
}

}  // namespace

void HeadParser::reset() { *this = HeadParser(*rules_); }

ParseStatus HeadParser::fail(http::Error error, uint32_t offset) {
    phase_ = Phase::kFailed;
    error_ = error;
    error_offset_ = offset;
    return ParseStatus::kFailed;
}

// All limits are checked before any content, so that an unfinished line and a finished one are
// refused alike.
inline uint32_t HeadParser::line_bound() const {
    const uint64_t head_max = rules_->head_bytes_max;
    if (phase_ == Phase::kFields)
        return static_cast<uint32_t>(
            std::min(line_start_ + uint64_t{rules_->field_bound()}, head_max));
    if (rules_->line_bytes_max == 0) return rules_->head_bytes_max;
    return static_cast<uint32_t>(
        std::min(line_start_ + uint64_t{rules_->line_bytes_max} + 2, head_max));
}

// Names the limit that was met, and the first byte too many.
ParseStatus HeadParser::fail_bound() {
    const bool request_line = phase_ == Phase::kRequestLine;
    const uint64_t own =
        request_line ? uint64_t{rules_->line_bytes_max} + 2 : uint64_t{rules_->field_bound()};
    const uint64_t end = line_start_ + own;
    if ((request_line && rules_->line_bytes_max == 0) || end > rules_->head_bytes_max)
        return fail(http::Error::kHeadTooLong, rules_->head_bytes_max);
    if (request_line) return fail(http::Error::kRequestLineTooLong, static_cast<uint32_t>(end - 2));
    return fail(http::Error::kFieldTooLong, static_cast<uint32_t>(end));
}

ParseStatus HeadParser::skip_leading_crlf(const char* buffer, uint32_t length) {
    if (length == 0) return ParseStatus::kNeedMore;
    if (buffer[0] == kTlsHandshake) {
        if (length == 1) return ParseStatus::kNeedMore;
        if (buffer[1] == kTlsMajor) return fail(http::Error::kTlsReceived, 0);
    }
    if (buffer[0] == '\r') {
        if (length == 1) return ParseStatus::kNeedMore;
        if (buffer[1] != '\n') return fail(http::Error::kBareCr, 0);
        if (length < kProxySignature.size() && kProxySignature.starts_with({buffer, length}))
            return ParseStatus::kNeedMore;
        if (std::string_view(buffer, length).starts_with(kProxySignature))
            return fail(http::Error::kProxyHeader, 0);
        line_start_ = 2;
        scanned_ = 2;
    }
    phase_ = Phase::kRequestLine;
    return ParseStatus::kComplete;
}

ParseStatus HeadParser::parse(char* buffer, uint32_t length, http::RequestHead& head) {
    if (phase_ == Phase::kFailed) return ParseStatus::kFailed;
    if (phase_ == Phase::kComplete) return ParseStatus::kComplete;
    if (phase_ == Phase::kLeadingCrlf) {
        const ParseStatus status = skip_leading_crlf(buffer, length);
        if (status != ParseStatus::kComplete) return status;
    }
    while (true) {
        const uint32_t limit = line_bound();
        const uint32_t stop = std::min(length, limit);
        char* const lf =
            stop <= scanned_
                ? buffer + stop
                : buffer +
                      (http::scan::find(buffer, buffer + scanned_, buffer + stop, '\n') - buffer);
        if (lf == buffer + stop) {
            scanned_ = std::max(scanned_, stop);
            return length >= limit ? fail_bound() : ParseStatus::kNeedMore;
        }
        const auto lf_at = static_cast<uint32_t>(lf - buffer);
        if (phase_ == Phase::kFields && rules_->permit_obsolete_folding) {
            const ParseStatus status = look_ahead(buffer, length, lf_at);
            if (status == ParseStatus::kNeedMore) return status;
            if (scanned_ == lf_at + 1) continue;  // the field goes on
        }
        const ParseStatus status = phase_ == Phase::kRequestLine
                                       ? end_request_line(buffer, lf_at, head)
                                       : end_field(buffer, lf_at, head);
        if (status != ParseStatus::kNeedMore) return status;
        line_start_ = scanned_ = lf_at + 1;
    }
}

// Whether a field is over is known from the first byte after its line only.
ParseStatus HeadParser::look_ahead(const char* buffer, uint32_t length, uint32_t lf) {
    const bool empty_line =
        lf - line_start_ <= 1 && buffer[line_start_] != ' ' && buffer[line_start_] != '\t';
    if (empty_line) return ParseStatus::kComplete;
    if (lf + 1 == length) {
        scanned_ = lf;  // found again at once when there is more
        return ParseStatus::kNeedMore;
    }
    if (is_blank(buffer[lf + 1])) {
        scanned_ = lf + 1;
        folded_ = true;
    }
    return ParseStatus::kComplete;
}

ParseStatus HeadParser::end_request_line(char* buffer, uint32_t lf, http::RequestHead& head) {
    head.clear();
    if (lf == line_start_ || buffer[lf - 1] != '\r') return fail(http::Error::kBareLf, lf);
    const Line line{buffer, buffer + line_start_, buffer + lf - 1};
    const LineFault fault = read_request_line(line, *rules_, head);
    if (fault.error != http::Error::kNone) {
        const http::Error other = other_protocol({line.begin, line.end});
        if (other != http::Error::kNone) return fail(other, line_start_);
        const char* cr = http::scan::find_scalar(line.begin, line.end, '\r');
        if (cr != line.end) return fail(http::Error::kBareCr, static_cast<uint32_t>(cr - buffer));
        return fail(fault.error, static_cast<uint32_t>(fault.at - buffer));
    }
    phase_ = Phase::kFields;
    return ParseStatus::kNeedMore;
}

ParseStatus HeadParser::end_field(char* buffer, uint32_t lf, http::RequestHead& head) {
    if (lf == line_start_ || buffer[lf - 1] != '\r') return fail(http::Error::kBareLf, lf);
    if (lf == line_start_ + 1) {
        phase_ = Phase::kComplete;
        head.length = lf + 1;
        return ParseStatus::kComplete;
    }
    if (head.fields.size() >= rules_->fields_max)
        return fail(http::Error::kTooManyFields, line_start_);
    Line line{buffer, buffer + line_start_, buffer + lf - 1};
    if (is_blank(*line.begin)) return fail(http::Error::kObsoleteFolding, line_start_);
    LineFault fault;
    if (folded_) {
        line.end = unfold(line, fault);
        folded_ = false;
    }
    if (fault.error == http::Error::kNone) {
        fault = parse_field_line({line.base, line.begin, line.end, rules_->strip_header_spaces},
                                 head.fields.emplace_back());
    }
    if (fault.error != http::Error::kNone)
        return fail(fault.error, static_cast<uint32_t>(fault.at - buffer));
    return ParseStatus::kNeedMore;
}

}  // namespace mono::http1
