#include "http1/chunked.hpp"

#include <algorithm>

#include "http/names.hpp"
#include "http/scan.hpp"
#include "http1/field_line.hpp"

namespace mono::http1 {
namespace {

constexpr bool is_blank(char byte) { return byte == ' ' || byte == '\t'; }

constexpr int hex_digit(char byte) {
    if (byte >= '0' && byte <= '9') return byte - '0';
    const char lower = static_cast<char>(byte | 0x20);
    if (lower >= 'a' && lower <= 'f') return lower - 'a' + 10;
    return -1;
}

// A place in a line; `end` is the line's CR.
struct Reader {
    const char* at;
    const char* end;

    bool done() const { return at == end; }
    bool take(char wanted) {
        if (done() || *at != wanted) return false;
        ++at;
        return true;
    }
    void skip_blanks() {
        while (!done() && is_blank(*at)) ++at;
    }
    bool take_token() {
        const char* begin = at;
        while (!done() && http::is_token({at, 1})) ++at;
        return at != begin;
    }
    // RFC 9110 section 5.6.4; the line's end and bare CR have been dealt with.
    bool take_quoted() {
        if (!take('"')) return false;
        while (!done() && *at != '"') {
            if (*at == '\\' && ++at == end) return false;
            if (!http::scan::is_field_byte(*at)) return false;
            ++at;
        }
        return take('"');
    }
};

// chunk-size, RFC 9112 section 7.1.
bool read_size(Reader& line, uint64_t& size) {
    const char* begin = line.at;
    uint64_t value = 0;
    for (; !line.done() && hex_digit(*line.at) >= 0; ++line.at) {
        if (value >> 60 != 0) return false;
        value = value << 4 | static_cast<uint64_t>(hex_digit(*line.at));
    }
    size = value;
    return line.at != begin;
}

// chunk-ext, RFC 9112 section 7.1.1: bad whitespace (BWS) may stand around ";" and "=", and nowhere
// else: not at the line's end.
bool read_extension(Reader& line) {
    line.skip_blanks();
    if (!line.take(';')) return false;
    line.skip_blanks();
    if (!line.take_token()) return false;
    const char* after_name = line.at;
    line.skip_blanks();
    if (!line.take('=')) {
        line.at = after_name;
        return true;
    }
    line.skip_blanks();
    return !line.done() && *line.at == '"' ? line.take_quoted() : line.take_token();
}

LineFault read_size_line(Reader line, uint64_t& size) {
    const char* cr = http::scan::find_scalar(line.at, line.end, '\r');
    if (cr != line.end) return {http::Error::kBareCr, cr};
    if (!read_size(line, size)) return {http::Error::kChunkSizeInvalid, line.at};
    const char* after_size = line.at;
    line.skip_blanks();
    if (line.done() ? line.at != after_size : *line.at != ';')
        return {http::Error::kChunkSizeInvalid, after_size};
    line.at = after_size;
    while (!line.done())
        if (!read_extension(line)) return {http::Error::kChunkExtensionInvalid, line.at};
    return {};
}

// RFC 9110 section 6.5.1: what frames, routes or authenticates comes too late in a trailer.
bool is_forbidden(http::KnownField name) {
    return name == http::KnownField::kHost || name == http::KnownField::kContentLength ||
           name == http::KnownField::kTransferEncoding || name == http::KnownField::kTrailer ||
           name == http::KnownField::kAuthorization || name == http::KnownField::kTe;
}

}  // namespace

void ChunkedDecoder::reset() {
    phase_ = Phase::kSizeLine;
    error_ = http::Error::kNone;
    remaining_ = offset_ = error_offset_ = 0;
    trailer_bytes_ = 0;
    line_.clear();
    trailers_.clear();
}

void ChunkedDecoder::fail(http::Error error, uint64_t offset) {
    phase_ = Phase::kFailed;
    error_ = error;
    error_offset_ = offset;
}

ChunkedDecoder::Step ChunkedDecoder::next(std::string_view input) {
    size_t used = 0;
    while (true) {
        const std::string_view rest = input.substr(used);
        if (phase_ == Phase::kFailed) return {Event::kFailed, used, {}};
        if (phase_ == Phase::kEnd) return {Event::kEnd, used, {}};
        if (rest.empty()) return {Event::kNeedMore, used, {}};
        switch (phase_) {
            case Phase::kData: {
                const auto size = static_cast<size_t>(std::min<uint64_t>(remaining_, rest.size()));
                remaining_ -= size;
                offset_ += size;
                if (remaining_ == 0) phase_ = Phase::kDataCr;
                return {Event::kData, used + size, rest.substr(0, size)};
            }
            case Phase::kDataCr:
            case Phase::kDataLf:
                if (rest[0] != (phase_ == Phase::kDataCr ? '\r' : '\n')) {
                    fail(http::Error::kChunkEndInvalid, offset_);
                    break;
                }
                phase_ = phase_ == Phase::kDataCr ? Phase::kDataLf : Phase::kSizeLine;
                ++offset_;
                ++used;
                break;
            case Phase::kSizeLine:
            case Phase::kTrailer:
                used += take_line(rest);
                break;
            case Phase::kEnd:
            case Phase::kFailed:
                break;
        }
    }
}

// Takes what `input` has of the current line and acts on the line once it is whole. As in the
// head, limits are checked before content, so that every split gives the same answer.
size_t ChunkedDecoder::take_line(std::string_view input) {
    const uint64_t line_start = offset_ - line_.size();
    uint64_t line_max = rules_->field_bound();
    if (phase_ == Phase::kTrailer)
        line_max = std::min<uint64_t>(line_max, rules_->head_bytes_max - trailer_bytes_);
    const auto room = static_cast<size_t>(line_max - line_.size());
    const std::string_view piece = input.substr(0, room);
    const size_t lf = piece.find('\n');
    if (lf == std::string_view::npos) {
        offset_ += piece.size();
        line_.append(piece);
        if (line_.size() >= line_max) {
            fail(phase_ == Phase::kTrailer ? http::Error::kTrailersTooLong
                                           : http::Error::kChunkLineTooLong,
                 line_start + line_max);
        }
        return piece.size();
    }
    std::string_view line = piece.substr(0, lf + 1);
    offset_ += line.size();
    if (!line_.empty()) {
        line_.append(line);
        line = line_;
    }
    end_line(line, line_start);
    line_.clear();
    return lf + 1;
}

void ChunkedDecoder::end_line(std::string_view line, uint64_t line_start) {
    const size_t lf = line.size() - 1;
    if (lf == 0 || line[lf - 1] != '\r') {
        fail(http::Error::kBareLf, line_start + lf);
        return;
    }
    const char* begin = line.data();
    LineFault fault;
    if (phase_ == Phase::kTrailer) {
        fault = take_trailer(begin, begin + lf - 1);
        trailer_bytes_ += static_cast<uint32_t>(line.size());
    } else {
        fault = read_size_line({begin, begin + lf - 1}, remaining_);
        phase_ = remaining_ == 0 ? Phase::kTrailer : Phase::kData;
    }
    if (fault.error != http::Error::kNone)
        fail(fault.error, line_start + static_cast<uint64_t>(fault.at - begin));
}

// Folding is refused here whatever the rules permit in the head.
LineFault ChunkedDecoder::take_trailer(const char* begin, const char* end) {
    if (begin == end) {
        phase_ = Phase::kEnd;
        return {};
    }
    if (trailers_.size() >= rules_->fields_max) return {http::Error::kTrailersTooLong, begin};
    http::Field field;
    LineFault fault = parse_field_line({begin, begin, end, rules_->strip_header_spaces}, field);
    if (fault.error == http::Error::kBareCr) return fault;
    if (fault.error != http::Error::kNone) return {http::Error::kTrailerInvalid, fault.at};
    if (is_forbidden(field.known)) return {http::Error::kTrailerForbidden, begin};
    trailers_.push_back({std::string(field.name.in(begin)), std::string(field.value.in(begin))});
    return {};
}

size_t write_chunk_prefix(uint64_t bytes, char* out) {
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    size_t digits = 1;
    while (digits < 16 && bytes >> (4 * digits) != 0) ++digits;
    for (size_t at = 0; at < digits; ++at)
        out[at] = kDigits[(bytes >> (4 * (digits - 1 - at))) & 0xF];
    out[digits] = '\r';
    out[digits + 1] = '\n';
    return digits + 2;
}

}  // namespace mono::http1
