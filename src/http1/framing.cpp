#include "http1/framing.hpp"

#include <algorithm>
#include <string_view>

#include "http/decimal.hpp"
#include "http/target.hpp"

namespace mono::http1 {
namespace {

// What one pass over the fields collects.
struct Collected {
    const http::Field* host = nullptr;
    const http::Field* content_type = nullptr;
    const http::Field* content_length = nullptr;
    const http::Field* transfer_encoding = nullptr;
    bool chunked = false;
    bool compressed = false;
    bool close = false;
    bool keep_alive = false;
    bool connection_upgrade = false;
    bool upgrade_field = false;
    bool expect_continue = false;
};

http::Error take_content_length(const http::Field& field, std::string_view value,
                                Collected& collected, uint64_t& length) {
    if (collected.content_length) return http::Error::kContentLengthRepeated;
    collected.content_length = &field;
    return http::parse_decimal(value, length) ? http::Error::kNone
                                              : http::Error::kContentLengthInvalid;
}

// One element of Transfer-Encoding, RFC 9112 section 6.1: chunked once and last.
http::Error take_coding(std::string_view coding, Collected& collected) {
    if (http::equals_ignoring_case(coding, "chunked")) {
        if (collected.chunked) return http::Error::kTransferEncodingInvalid;
        collected.chunked = true;
        return http::Error::kNone;
    }
    const bool identity = http::equals_ignoring_case(coding, "identity");
    const bool compression = http::equals_ignoring_case(coding, "gzip") ||
                             http::equals_ignoring_case(coding, "deflate") ||
                             http::equals_ignoring_case(coding, "compress");
    // Empty elements are lawful in lists, but a proxy in front may read them otherwise.
    if (coding.empty()) return http::Error::kTransferEncodingInvalid;
    if (!identity && !compression) return http::Error::kTransferEncodingUnknown;
    if (collected.chunked) return http::Error::kTransferEncodingInvalid;
    collected.compressed |= compression;
    return http::Error::kNone;
}

http::Error take_transfer_encoding(const http::Field& field, std::string_view value,
                                   Collected& collected) {
    collected.transfer_encoding = &field;
    size_t begin = 0;
    while (begin <= value.size()) {
        const size_t end = std::min(value.find(',', begin), value.size());
        std::string_view coding = value.substr(begin, end - begin);
        while (!coding.empty() && (coding.front() == ' ' || coding.front() == '\t'))
            coding.remove_prefix(1);
        while (!coding.empty() && (coding.back() == ' ' || coding.back() == '\t'))
            coding.remove_suffix(1);
        const http::Error error = take_coding(coding, collected);
        if (error != http::Error::kNone) return error;
        begin = end + 1;
    }
    return http::Error::kNone;
}

void take_connection(std::string_view value, Collected& collected) {
    http::for_each_list_element(value, [&collected](std::string_view option) {
        collected.close |= http::equals_ignoring_case(option, "close");
        collected.keep_alive |= http::equals_ignoring_case(option, "keep-alive");
        collected.connection_upgrade |= http::equals_ignoring_case(option, "upgrade");
        return true;
    });
}

http::Error take_field(const char* buffer, const http::Field& field, Collected& collected,
                       uint64_t& length) {
    const std::string_view value = field.value.in(buffer);
    switch (field.known) {
        case http::KnownField::kHost:
            if (collected.host) return http::Error::kDuplicateField;
            collected.host = &field;
            return http::is_valid_host(value) ? http::Error::kNone : http::Error::kHostInvalid;
        case http::KnownField::kContentType:
            if (collected.content_type) return http::Error::kDuplicateField;
            collected.content_type = &field;
            return http::Error::kNone;
        case http::KnownField::kContentLength:
            return take_content_length(field, value, collected, length);
        case http::KnownField::kTransferEncoding:
            return take_transfer_encoding(field, value, collected);
        case http::KnownField::kConnection:
            take_connection(value, collected);
            return http::Error::kNone;
        case http::KnownField::kUpgrade:
            collected.upgrade_field = true;
            return http::Error::kNone;
        case http::KnownField::kExpect:
            if (!http::equals_ignoring_case(value, "100-continue"))
                return http::Error::kExpectationUnknown;
            collected.expect_continue = true;
            return http::Error::kNone;
        default:  // the other forty are none of framing's business
            return http::Error::kNone;
    }
}

// RFC 9112 section 6.3, without its lenient readings.
http::Error judge_transfer_encoding(const Collected& collected, const http::RequestHead& head) {
    if (!collected.chunked || !head.at_least_1_1()) return http::Error::kTransferEncodingInvalid;
    return collected.content_length ? http::Error::kLengthAndChunked : http::Error::kNone;
}

// RFC 9112 sections 3.2.2 and 3.3: an authority in the target counts, and what Host says does not.
// An absolute target saves no client of HTTP/1.1 from sending Host (section 3.2).
http::Error take_authority(bool has_host, http::RequestHead& head) {
    if (head.authority.empty()) return http::Error::kNone;
    if (!has_host) {
        if (head.form == http::TargetForm::kAbsolute && head.at_least_1_1())
            return http::Error::kHostMissing;
        head.fields.push_back({{}, head.authority, http::KnownField::kHost});
        return http::Error::kNone;
    }
    for (http::Field& field : head.fields) {
        if (field.known != http::KnownField::kHost) continue;
        field.value = head.authority;
        field.ascii = true;
    }
    return http::Error::kNone;
}

}  // namespace

http::FramingError apply_framing(const char* buffer, http::RequestHead& head) {
    Collected collected;
    head.content_length = 0;
    for (const http::Field& field : head.fields) {
        if (field.known == http::KnownField::kOther) continue;
        const http::Error error = take_field(buffer, field, collected, head.content_length);
        if (error != http::Error::kNone) return {error, field.name.offset};
    }
    head.body = head.content_length != 0 ? http::BodyKind::kLength : http::BodyKind::kNone;
    if (const http::Field* field = collected.transfer_encoding) {
        const http::Error error = judge_transfer_encoding(collected, head);
        if (error != http::Error::kNone) return {error, field->name.offset};
        head.body = http::BodyKind::kChunked;
    }

    const http::Error error = take_authority(collected.host != nullptr, head);
    if (error != http::Error::kNone) return {error, head.target.offset};

    const bool modern = head.at_least_1_1();
    head.keep_alive = !collected.close && !collected.compressed &&
                      head.form != http::TargetForm::kAuthority && (modern || collected.keep_alive);
    head.expect_continue = modern && collected.expect_continue;
    head.upgrade = modern && collected.connection_upgrade && collected.upgrade_field;
    return {};
}

}  // namespace mono::http1
