#include "log/access_format.hpp"

#include <array>
#include <charconv>
#include <ctime>

#include "http/target.hpp"
#include "log/basic_user.hpp"
#include "log/escape.hpp"

namespace mono::log {
namespace {

constexpr char kMonths[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

void append_number(int64_t number, std::string& out) {
    std::array<char, 24> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    out.append(digits.data(), static_cast<size_t>(end - digits.data()));
}

// Most texts of a format are a blank or a quote, for which a call is much.
void append_literal(std::string_view text, std::string& out) {
    if (text.size() == 1) return out.push_back(text[0]);
    out.append(text);
}

void append_padded(int64_t number, int digits, std::string& out) {
    char text[24];
    int at = digits;
    while (at > 0) {
        text[--at] = static_cast<char>('0' + number % 10);
        number /= 10;
    }
    out.append(text, static_cast<size_t>(digits));
}

// "[23/Nov/2026:07:48:00 +0100]"; English months whatever the locale, as log parsers expect.
void format_local(int64_t unix_second, std::string& out) {
    const auto second = static_cast<time_t>(unix_second);
    tm local{};
    localtime_r(&second, &local);
    out.assign("[");
    append_padded(local.tm_mday, 2, out);
    out.push_back('/');
    out.append(kMonths + ptrdiff_t{3} * local.tm_mon, 3);
    out.push_back('/');
    append_padded(local.tm_year + 1900, 4, out);
    out.push_back(':');
    append_padded(local.tm_hour, 2, out);
    out.push_back(':');
    append_padded(local.tm_min, 2, out);
    out.push_back(':');
    append_padded(local.tm_sec, 2, out);
    out.append(local.tm_gmtoff < 0 ? " -" : " +");
    const int64_t minutes = (local.tm_gmtoff < 0 ? -local.tm_gmtoff : local.tm_gmtoff) / 60;
    append_padded(minutes / 60, 2, out);
    append_padded(minutes % 60, 2, out);
    out.push_back(']');
}

// "2026-11-23T06:48:00"
void format_utc(int64_t unix_second, std::string& out) {
    const auto second = static_cast<time_t>(unix_second);
    tm utc{};
    gmtime_r(&second, &utc);
    out.clear();
    append_padded(utc.tm_year + 1900, 4, out);
    out.push_back('-');
    append_padded(utc.tm_mon + 1, 2, out);
    out.push_back('-');
    append_padded(utc.tm_mday, 2, out);
    out.push_back('T');
    append_padded(utc.tm_hour, 2, out);
    out.push_back(':');
    append_padded(utc.tm_min, 2, out);
    out.push_back(':');
    append_padded(utc.tm_sec, 2, out);
}

void append_protocol(const http::RequestHead& head, std::string& out) {
    out.append("HTTP/");
    append_number(head.version_major, out);
    out.push_back('.');
    append_number(head.version_minor, out);
}

// Width and precision of Python's %-formatting; what is logged is ASCII or counted in bytes.
void adjust(const AccessStep& step, size_t begin, std::string& out) {
    if (step.precision >= 0 && out.size() - begin > static_cast<size_t>(step.precision)) {
        out.resize(begin + static_cast<size_t>(step.precision));
    }
    const size_t length = out.size() - begin;
    if (length >= step.width) return;
    const size_t missing = step.width - length;
    if (step.left_adjusted) {
        out.append(missing, ' ');
    } else {
        out.insert(begin, missing, step.zero_padded ? '0' : ' ');
    }
}

bool names(const AccessStep& step, const http::Field& field, const char* buffer) {
    if (field.known != step.known) return false;
    return step.known != http::KnownField::kOther ||
           http::equals_ignoring_case(field.name.in(buffer), step.text);
}

}  // namespace

void AccessFormat::format(const AccessRecord& record, std::string& out) {
    for (const AccessStep& step : steps_) {
        if (step.atom == Atom::kLiteral) {
            append_literal(step.text, out);
            continue;
        }
        const size_t begin = out.size();
        append_step(step, record, out);
        if (step.width != 0 || step.precision >= 0) adjust(step, begin, out);
    }
    out.push_back('\n');
}

void AccessFormat::append_text(std::string_view text, std::string& out) const {
    switch (style_) {
        case LineStyle::kPlain:
            return append_plain(text, out);
        case LineStyle::kJson:
            return append_json(text, out);
        case LineStyle::kLogfmt:
            return append_logfmt(text, out);
    }
}

void AccessFormat::append_absent(std::string& out) const {
    append_literal(style_ == LineStyle::kJson ? "null" : "-", out);
}

void AccessFormat::append_leg(int64_t duration_us, std::string& out) const {
    return duration_us < 0 ? append_absent(out) : append_number(duration_us, out);
}

void AccessFormat::append_step(const AccessStep& step, const AccessRecord& record,
                               std::string& out) {
    switch (step.atom) {
        case Atom::kLiteral:
            return append_literal(step.text, out);
        case Atom::kAbsent:
            return append_absent(out);
        case Atom::kRemoteAddr:
            return record.remote_addr.empty() ? append_absent(out)
                                              : append_text(record.remote_addr, out);
        case Atom::kTime:
            return append_time(record.finished_unix_us, out);
        case Atom::kTimeUtc:
            return append_time_utc(record.finished_unix_us, out);
        case Atom::kStatus:
            return record.status == 0 ? append_absent(out) : append_number(record.status, out);
        case Atom::kBodyBytes:
        case Atom::kBodyBytesText:
            return append_number(static_cast<int64_t>(record.body_bytes), out);
        case Atom::kSeconds:
            return append_number(record.duration_us / 1'000'000, out);
        case Atom::kMilliseconds:
            return append_number(record.duration_us / 1'000, out);
        case Atom::kMicroseconds:
            return append_number(record.duration_us, out);
        case Atom::kDecimalSeconds:
            append_number(record.duration_us / 1'000'000, out);
            out.push_back('.');
            return append_padded(record.duration_us % 1'000'000, 6, out);
        case Atom::kPid:
            out.push_back('<');
            append_number(record.pid, out);
            return out.push_back('>');
        case Atom::kPidNumber:
            return append_number(record.pid, out);
        case Atom::kResponseField:
            return append_field(step, record, out);
        case Atom::kVariable:
            return append_variable(step, record, out);
        case Atom::kRequestId:
            return record.request_id.empty() ? append_absent(out)
                                             : append_text(record.request_id, out);
        case Atom::kTraceId:
            return record.trace_id.empty() ? append_absent(out) : append_text(record.trace_id, out);
        case Atom::kBalancerTime:
            return append_leg(record.balancer_us, out);
        case Atom::kReadTime:
            return append_leg(record.read_us, out);
        case Atom::kQueueTime:
            return append_leg(record.queue_us, out);
        case Atom::kAppTime:
            return append_leg(record.application_us, out);
        case Atom::kUser:
        case Atom::kRequestLine:
        case Atom::kMethod:
        case Atom::kPath:
        case Atom::kTarget:
        case Atom::kQuery:
        case Atom::kProtocol:
        case Atom::kRequestField:
        case Atom::kRequestJoined:
            return record.head == nullptr ? append_absent(out)
                                          : append_head_step(step, record, out);
    }
}

// The atoms that need the request's head, which is there.
void AccessFormat::append_head_step(const AccessStep& step, const AccessRecord& record,
                                    std::string& out) {
    const http::RequestHead& head = *record.head;
    // Refused before its first line was understood.
    const bool unread = head.method.length == 0 && step.atom != Atom::kUser &&
                        step.atom != Atom::kRequestField && step.atom != Atom::kRequestJoined;
    if (unread) return append_absent(out);
    switch (step.atom) {
        case Atom::kUser:
            return append_user(record, out);
        case Atom::kRequestLine:
            append_text(head.method.in(record.buffer), out);
            out.push_back(' ');
            append_text(head.target.in(record.buffer), out);
            out.push_back(' ');
            return append_protocol(head, out);
        case Atom::kMethod:
            return append_text(head.method.in(record.buffer), out);
        case Atom::kPath:
            return append_path(record, out);
        case Atom::kTarget:
            return append_text(head.target.in(record.buffer), out);
        case Atom::kQuery:
            return append_text(head.query.in(record.buffer), out);
        case Atom::kProtocol:
            if (style_ == LineStyle::kJson) out.push_back('"');
            append_protocol(head, out);
            if (style_ == LineStyle::kJson) out.push_back('"');
            return;
        case Atom::kRequestField:
        case Atom::kRequestJoined:
            return append_field(step, record, out);
        case Atom::kLiteral:
        case Atom::kAbsent:
        case Atom::kRemoteAddr:
        case Atom::kTime:
        case Atom::kTimeUtc:
        case Atom::kStatus:
        case Atom::kBodyBytes:
        case Atom::kBodyBytesText:
        case Atom::kSeconds:
        case Atom::kMilliseconds:
        case Atom::kMicroseconds:
        case Atom::kDecimalSeconds:
        case Atom::kPid:
        case Atom::kPidNumber:
        case Atom::kResponseField:
        case Atom::kVariable:
        case Atom::kRequestId:
        case Atom::kTraceId:
        case Atom::kBalancerTime:
        case Atom::kReadTime:
        case Atom::kQueueTime:
        case Atom::kAppTime:
            return append_absent(out);  // append_step() did these
    }
}

void AccessFormat::append_path(const AccessRecord& record, std::string& out) {
    const std::string_view path = record.head->path.in(record.buffer);
    if (record.head->path_plain) return append_text(path, out);
    scratch_.resize(path.size());
    scratch_.resize(http::percent_decode(path, scratch_.data()));
    append_text(scratch_, out);
}

void AccessFormat::append_user(const AccessRecord& record, std::string& out) {
    for (const http::Field& field : record.head->fields) {
        if (field.known != http::KnownField::kAuthorization) continue;
        if (!basic_user(field.value.in(record.buffer), scratch_) || scratch_.empty()) break;
        return append_text(scratch_, out);
    }
    append_absent(out);
}

namespace {

// Views into the record, or into `scratch` where several fields had to be joined.
bool find_request_field(const AccessStep& step, const AccessRecord& record, std::string& scratch,
                        std::string_view& value) {
    bool found = false;
    for (const http::Field& field : record.head->fields) {
        if (!names(step, field, record.buffer)) continue;
        const std::string_view text = field.value.in(record.buffer);
        if (found && step.atom == Atom::kRequestJoined) {
            std::string joined(value);
            joined.append(",").append(text);
            scratch = std::move(joined);
            value = scratch;
        } else {
            value = text;
        }
        found = true;
    }
    return found;
}

// `fields` is "Name: value\r\n"...; the last one wins.
bool find_response_field(std::string_view name, std::string_view fields, std::string_view& value) {
    bool found = false;
    while (!fields.empty()) {
        const size_t end = fields.find("\r\n");
        const std::string_view line = fields.substr(0, end);
        fields.remove_prefix(end == std::string_view::npos ? fields.size() : end + 2);
        if (line.size() <= name.size() || line[name.size()] != ':') continue;
        if (!http::equals_ignoring_case(line.substr(0, name.size()), name)) continue;
        value = line.substr(name.size() + 1);
        while (!value.empty() && value.front() == ' ') value.remove_prefix(1);
        found = true;
    }
    return found;
}

}  // namespace

void AccessFormat::append_field(const AccessStep& step, const AccessRecord& record,
                                std::string& out) {
    std::string_view value;
    const bool found = step.atom == Atom::kResponseField
                           ? find_response_field(step.text, record.response_fields, value)
                           : find_request_field(step, record, scratch_, value);
    return found ? append_text(value, out) : append_absent(out);
}

void AccessFormat::append_variable(const AccessStep& step, const AccessRecord& record,
                                   std::string& out) {
    for (const auto& [name, value] : record.variables)
        if (name == step.text) return append_text(value, out);
    append_absent(out);
}

void AccessFormat::append_time(int64_t unix_us, std::string& out) {
    const int64_t second = unix_us / 1'000'000;
    if (second != cached_second_) {
        format_local(second, time_text_);
        cached_second_ = second;
    }
    out.append(time_text_);
}

void AccessFormat::append_time_utc(int64_t unix_us, std::string& out) {
    const int64_t second = unix_us / 1'000'000;
    if (second != cached_second_) {
        format_utc(second, time_text_);
        cached_second_ = second;
    }
    const bool quoted = style_ == LineStyle::kJson;
    if (quoted) out.push_back('"');
    out.append(time_text_);
    out.push_back('.');
    append_padded(unix_us / 1'000 % 1'000, 3, out);
    out.push_back('Z');
    if (quoted) out.push_back('"');
}

}  // namespace mono::log
