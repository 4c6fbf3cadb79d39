#include "http/response_head.hpp"

#include <algorithm>

#include "http/decimal.hpp"
#include "http/names.hpp"
#include "http/scan.hpp"

namespace mono::http {
namespace {

constexpr size_t kDecimalBytesMax = 20;

bool is_text(std::string_view text) {
    const char* end = text.data() + text.size();
    return scan::check_field(text.data(), text.data(), end).bad == end;
}

std::string_view trim(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
    return text;
}

enum class Kind : uint8_t { kPlain, kDropped, kConnection, kUpgrade, kContentLength };

Kind kind_if(std::string_view name, std::string_view wanted, Kind kind) {
    return equals_ignoring_case(name, wanted) ? kind : Kind::kPlain;
}

// What belongs to the connection is the server's (RFC 9110 section 7.6.1, PEP 3333).
Kind kind_of(std::string_view name) {
    switch (name.size()) {
        case 2:
            return kind_if(name, "te", Kind::kDropped);
        case 4:
            return kind_if(name, "date", Kind::kDropped);
        case 6:
            return kind_if(name, "server", Kind::kDropped);
        case 7:
            return kind_if(name, "upgrade", Kind::kUpgrade);
        case 8:
            return kind_if(name, "trailers", Kind::kDropped);
        case 10:
            if (equals_ignoring_case(name, "connection")) return Kind::kConnection;
            return kind_if(name, "keep-alive", Kind::kDropped);
        case 14:
            return kind_if(name, "content-length", Kind::kContentLength);
        case 17:
            return kind_if(name, "transfer-encoding", Kind::kDropped);
        case 18:
            return kind_if(name, "proxy-authenticate", Kind::kDropped);
        case 19:
            return kind_if(name, "proxy-authorization", Kind::kDropped);
        default:
            return Kind::kPlain;
    }
}

class Writer {
  public:
    explicit Writer(char* out) : begin_(out), at_(out) {}
    void text(std::string_view piece) { at_ = std::copy_n(piece.data(), piece.size(), at_); }
    void field(std::string_view name_and_colon, std::string_view value) {
        text(name_and_colon);
        text(value);
        text("\r\n");
    }
    void decimal(uint64_t number) {
        char digits[kDecimalBytesMax];
        char* first = digits + sizeof(digits);
        do {
            *--first = static_cast<char>('0' + number % 10);
            number /= 10;
        } while (number != 0);
        text({first, static_cast<size_t>(digits + sizeof(digits) - first)});
    }
    size_t written() const { return static_cast<size_t>(at_ - begin_); }

  private:
    char* begin_;
    char* at_;
};

struct Phrase {
    uint16_t status;
    std::string_view text;
};

// The IANA registry of status codes.
constexpr Phrase kPhrases[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {102, "Processing"},
    {103, "Early Hints"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {203, "Non-Authoritative Information"},
    {204, "No Content"},
    {205, "Reset Content"},
    {206, "Partial Content"},
    {207, "Multi-Status"},
    {208, "Already Reported"},
    {226, "IM Used"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {305, "Use Proxy"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {423, "Locked"},
    {424, "Failed Dependency"},
    {425, "Too Early"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {451, "Unavailable For Legal Reasons"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
    {506, "Variant Also Negotiates"},
    {507, "Insufficient Storage"},
    {508, "Loop Detected"},
    {511, "Network Authentication Required"},
};

void append_escaped(std::string& out, std::string_view text) {
    for (const char byte : text) {
        switch (byte) {
            case '&':
                out += "&amp;";
                break;
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '"':
                out += "&quot;";
                break;
            case '\'':
                out += "&#39;";
                break;
            default:
                out += byte;
        }
    }
}

}  // namespace

std::string_view describe(HeadFault fault) {
    switch (fault) {
        case HeadFault::kNone:
            return "no fault";
        case HeadFault::kStatusInvalid:
            return "the status is not three digits, a space and a reason";
        case HeadFault::kNameInvalid:
            return "a header name is not a token";
        case HeadFault::kValueInvalid:
            return "a header value holds a control character";
        case HeadFault::kContentLengthInvalid:
            return "Content-Length is not a decimal number, or is given twice";
    }
    return "unknown fault";
}

void ResponseHead::clear() {
    status_line_.clear();
    fields_.clear();
    content_length_ = 0;
    content_length_at_ = content_length_size_ = 0;
    status_ = 0;
    has_content_length_ = upgrade_ = false;
}

HeadFault ResponseHead::set_status(std::string_view status) {
    if (status.size() < 3 || status[0] == '0') return HeadFault::kStatusInvalid;
    uint64_t number = 0;
    if (!parse_decimal(status.substr(0, 3), number)) return HeadFault::kStatusInvalid;
    const std::string_view rest = status.substr(3);
    if (!rest.empty() && (rest[0] != ' ' || !is_text(rest))) return HeadFault::kStatusInvalid;
    status_ = static_cast<uint16_t>(number);
    status_line_.assign(status);
    return HeadFault::kNone;
}

HeadFault ResponseHead::add(std::string_view name, std::string_view value) {
    if (!is_token(name)) return HeadFault::kNameInvalid;
    value = trim(value);
    if (!is_text(value)) return HeadFault::kValueInvalid;
    switch (kind_of(name)) {
        case Kind::kPlain:
            break;
        case Kind::kDropped:
            return HeadFault::kNone;
        case Kind::kConnection:
            upgrade_ |= equals_ignoring_case(value, "upgrade");
            return HeadFault::kNone;
        case Kind::kUpgrade:
            if (!equals_ignoring_case(value, "websocket")) return HeadFault::kNone;
            break;
        case Kind::kContentLength: {
            uint64_t length = 0;
            if (!parse_decimal(value, length)) return HeadFault::kContentLengthInvalid;
            if (has_content_length_)  // once is enough, twice the same is forgiven
                return length == content_length_ ? HeadFault::kNone
                                                 : HeadFault::kContentLengthInvalid;
            has_content_length_ = true;
            content_length_ = length;
            content_length_at_ = static_cast<uint32_t>(fields_.size());
            content_length_size_ = static_cast<uint32_t>(name.size() + value.size() + 4);
            break;
        }
    }
    Writer writer(fields_.reserve(name.size() + value.size() + 4));
    writer.text(name);
    writer.text(": ");
    writer.text(value);
    writer.text("\r\n");
    fields_.commit(writer.written());
    return HeadFault::kNone;
}

std::optional<std::string_view> ResponseHead::find(std::string_view name) const {
    std::string_view rest = fields_.view();
    while (!rest.empty()) {
        const size_t end = rest.find("\r\n");
        if (rest.size() > name.size() && rest[name.size()] == ':' &&
            equals_ignoring_case(rest.substr(0, name.size()), name))
            return rest.substr(name.size() + 2, end - name.size() - 2);
        rest.remove_prefix(end + 2);
    }
    return std::nullopt;
}

size_t ResponseHead::size_max(const Context& context) const {
    constexpr size_t kFixed = sizeof(
                                  "HTTP/1.1  \r\nServer: \r\nDate: \r\nConnection: \r\n"
                                  "Transfer-Encoding: chunked\r\nContent-Length: \r\n\r\n") +
                              kDecimalBytesMax;
    return kFixed + status_line_.size() + fields_.size() + context.server.size() +
           context.date.size() + context.connection.size();
}

size_t ResponseHead::write(const Context& context, char* out) const {
    Writer writer(out);
    const char version[] = {
        'H', 'T', 'T', 'P', '/', '1', '.', static_cast<char>('0' + context.version_minor), ' '};
    writer.text({version, sizeof(version)});
    writer.text(status_line_);
    // RFC 9112 section 4: the space stands even where the reason is missing.
    if (status_line_.size() == 3) writer.text(" ");
    writer.text("\r\n");
    if (!context.server.empty()) writer.field("Server: ", context.server);
    if (!context.date.empty()) writer.field("Date: ", context.date);
    if (!context.connection.empty()) writer.field("Connection: ", context.connection);
    if (context.chunked) writer.text("Transfer-Encoding: chunked\r\n");
    const std::string_view fields = fields_.view();
    if (context.drop_content_length && has_content_length_) {
        writer.text(fields.substr(0, content_length_at_));
        writer.text(fields.substr(content_length_at_ + content_length_size_));
    } else {
        writer.text(fields);
    }
    if (context.add_content_length) {
        writer.text("Content-Length: ");
        writer.decimal(context.content_length);
        writer.text("\r\n");
    }
    writer.text("\r\n");
    return writer.written();
}

std::string_view reason_phrase(uint16_t status) {
    for (const Phrase& phrase : kPhrases)
        if (phrase.status == status) return phrase.text;
    return "Unknown";
}

void insert_field(std::string& page, std::string_view name, std::string_view value) {
    std::string field(name);
    field.append(": ").append(value).append("\r\n");
    page.insert(page.find("\r\n") + 2, field);
}

std::string error_page(uint16_t status, std::string_view detail, std::string_view request_id) {
    const std::string_view reason = reason_phrase(status);
    std::string body = "<!DOCTYPE html>\n<html>\n<head><title>";
    body.append(reason).append("</title></head>\n<body>\n<h1>").append(reason);
    body.append("</h1>\n<p>");
    append_escaped(body, detail);
    body.append("</p>\n");
    if (!request_id.empty()) {
        body.append("<p>Request id: ");
        append_escaped(body, request_id);
        body.append("</p>\n");
    }
    body.append("</body>\n</html>\n");

    std::string page = "HTTP/1.1 " + std::to_string(status) + " ";
    page.append(reason).append("\r\nConnection: close\r\nContent-Type: text/html\r\n");
    // Of what passes by itself: RFC 9110 section 10.2.3.
    if (status == 503) page.append("Retry-After: 1\r\n");
    page.append("Content-Length: ").append(std::to_string(body.size())).append("\r\n\r\n");
    return page + body;
}

}  // namespace mono::http
