#include "http/framing.hpp"

#include <algorithm>
#include <string_view>

#include "http/decimal.hpp"
#include "http/target.hpp"

namespace mono::http {
namespace {

// What one pass over the fields collects.
struct Collected {
    const Field* host = nullptr;
    const Field* content_type = nullptr;
    const Field* content_length = nullptr;
    const Field* transfer_encoding = nullptr;
    bool chunked = false;
    bool compressed = false;
    bool close = false;
    bool keep_alive = false;
    bool connection_upgrade = false;
    bool upgrade_field = false;
    bool expect_continue = false;
};

Error take_content_length(const Field& field, std::string_view value, Collected& collected,
                          uint64_t& length) {
    if (collected.content_length) return Error::kContentLengthRepeated;
    collected.content_length = &field;
    return parse_decimal(value, length) ? Error::kNone : Error::kContentLengthInvalid;
}

// One element of Transfer-Encoding, RFC 9112 section 6.1: chunked once and last.
Error take_coding(std::string_view coding, Collected& collected) {
    if (equals_ignoring_case(coding, "chunked")) {
        if (collected.chunked) return Error::kTransferEncodingInvalid;
        collected.chunked = true;
        return Error::kNone;
    }
    const bool identity = equals_ignoring_case(coding, "identity");
    const bool compression = equals_ignoring_case(coding, "gzip") ||
                             equals_ignoring_case(coding, "deflate") ||
                             equals_ignoring_case(coding, "compress");
    // Empty elements are lawful in lists, but a proxy in front may read them otherwise.
    if (coding.empty()) return Error::kTransferEncodingInvalid;
    if (!identity && !compression) return Error::kTransferEncodingUnknown;
    if (collected.chunked) return Error::kTransferEncodingInvalid;
    collected.compressed |= compression;
    return Error::kNone;
}

Error take_transfer_encoding(const Field& field, std::string_view value, Collected& collected) {
    collected.transfer_encoding = &field;
    size_t begin = 0;
    while (begin <= value.size()) {
        const size_t end = std::min(value.find(',', begin), value.size());
        std::string_view coding = value.substr(begin, end - begin);
        while (!coding.empty() && (coding.front() == ' ' || coding.front() == '\t'))
            coding.remove_prefix(1);
        while (!coding.empty() && (coding.back() == ' ' || coding.back() == '\t'))
            coding.remove_suffix(1);
        const Error error = take_coding(coding, collected);
        if (error != Error::kNone) return error;
        begin = end + 1;
    }
    return Error::kNone;
}

void take_connection(std::string_view value, Collected& collected) {
    for_each_list_element(value, [&collected](std::string_view option) {
        collected.close |= equals_ignoring_case(option, "close");
        collected.keep_alive |= equals_ignoring_case(option, "keep-alive");
        collected.connection_upgrade |= equals_ignoring_case(option, "upgrade");
        return true;
    });
}

Error take_field(const char* buffer, const Field& field, Collected& collected, uint64_t& length) {
    const std::string_view value = field.value.in(buffer);
    switch (field.known) {
        case KnownField::kHost:
            if (collected.host) return Error::kDuplicateField;
            collected.host = &field;
            return is_valid_host(value) ? Error::kNone : Error::kHostInvalid;
        case KnownField::kContentType:
            if (collected.content_type) return Error::kDuplicateField;
            collected.content_type = &field;
            return Error::kNone;
        case KnownField::kContentLength:
            return take_content_length(field, value, collected, length);
        case KnownField::kTransferEncoding:
            return take_transfer_encoding(field, value, collected);
        case KnownField::kConnection:
            take_connection(value, collected);
            return Error::kNone;
        case KnownField::kUpgrade:
            collected.upgrade_field = true;
            return Error::kNone;
        case KnownField::kExpect:
            if (!equals_ignoring_case(value, "100-continue")) return Error::kExpectationUnknown;
            collected.expect_continue = true;
            return Error::kNone;
        default:  // the other forty are none of framing's business
            return Error::kNone;
    }
}

// RFC 9112 section 6.3, without its lenient readings.
Error judge_transfer_encoding(const Collected& collected, const RequestHead& head) {
    if (!collected.chunked || !head.at_least_1_1()) return Error::kTransferEncodingInvalid;
    return collected.content_length ? Error::kLengthAndChunked : Error::kNone;
}

// RFC 9112 sections 3.2.2 and 3.3: an authority in the target counts, and what Host says does not.
// An absolute target saves no client of HTTP/1.1 from sending Host (section 3.2).
Error take_authority(bool has_host, RequestHead& head) {
    if (head.authority.empty()) return Error::kNone;
    if (!has_host) {
        if (head.form == TargetForm::kAbsolute && head.at_least_1_1()) return Error::kHostMissing;
        head.fields.push_back({{}, head.authority, KnownField::kHost});
        return Error::kNone;
    }
    for (Field& field : head.fields) {
        if (field.known != KnownField::kHost) continue;
        field.value = head.authority;
        field.ascii = true;
    }
    return Error::kNone;
}

}  // namespace

FramingError apply_framing(const char* buffer, RequestHead& head) {
    Collected collected;
    head.content_length = 0;
    for (const Field& field : head.fields) {
        if (field.known == KnownField::kOther) continue;
        const Error error = take_field(buffer, field, collected, head.content_length);
        if (error != Error::kNone) return {error, field.name.offset};
    }
    head.body = head.content_length != 0 ? BodyKind::kLength : BodyKind::kNone;
    if (const Field* field = collected.transfer_encoding) {
        const Error error = judge_transfer_encoding(collected, head);
        if (error != Error::kNone) return {error, field->name.offset};
        head.body = BodyKind::kChunked;
    }

    const Error error = take_authority(collected.host != nullptr, head);
    if (error != Error::kNone) return {error, head.target.offset};

    const bool modern = head.at_least_1_1();
    head.keep_alive = !collected.close && !collected.compressed &&
                      head.form != TargetForm::kAuthority && (modern || collected.keep_alive);
    head.expect_continue = modern && collected.expect_continue;
    head.upgrade = modern && collected.connection_upgrade && collected.upgrade_field;
    return {};
}

}  // namespace mono::http
