#include "uwsgi/request.hpp"

#include <algorithm>

#include "http/decimal.hpp"
#include "http/names.hpp"
#include "uwsgi/target.hpp"

namespace mono::uwsgi {
namespace {

using http::Error;
using http::KnownField;

constexpr std::string_view kFieldPrefix = "HTTP_";
constexpr std::string_view kLineBreakers{"\r\n\0", 3};
// Gateway's words that are not the application's: they are said by this server, or used up here.
constexpr std::string_view kOwn[] = {"REQUEST_METHOD",  "PATH_INFO",       "SCRIPT_NAME",
                                     "QUERY_STRING",    "CONTENT_TYPE",    "CONTENT_LENGTH",
                                     "REMOTE_ADDR",     "REMOTE_PORT",     "RAW_URI",
                                     "SERVER_PROTOCOL", "SERVER_SOFTWARE", "GATEWAY_INTERFACE"};

// A variable that may be absent, or there and empty.
struct Text {
    std::string_view value;
    size_t offset = 0;
    bool given = false;
    bool empty() const { return value.empty(); }
};

// What a packet says beside the fields. Of two of a name the later one counts, as in environ.
struct Gateway {
    Text method, path, query, uri, script;
    Text content_type, content_length;
    Text https, url_scheme, request_scheme;
    Text remote_addr, remote_port;
};

struct Row {
    std::string_view name;
    Text Gateway::*member;
};
constexpr Row kRows[] = {
    {"REQUEST_METHOD", &Gateway::method},
    {"PATH_INFO", &Gateway::path},
    {"QUERY_STRING", &Gateway::query},
    {"REQUEST_URI", &Gateway::uri},
    {"SCRIPT_NAME", &Gateway::script},
    {"CONTENT_TYPE", &Gateway::content_type},
    {"CONTENT_LENGTH", &Gateway::content_length},
    {"HTTPS", &Gateway::https},
    {"wsgi.url_scheme", &Gateway::url_scheme},
    {"REQUEST_SCHEME", &Gateway::request_scheme},
    {"REMOTE_ADDR", &Gateway::remote_addr},
    {"REMOTE_PORT", &Gateway::remote_port},
};

bool breaks_lines(std::string_view text) {
    return text.find_first_of(kLineBreakers) != std::string_view::npos;
}

bool is_field(const Variable& variable) { return variable.name.starts_with(kFieldPrefix); }

// Letters, digits and "_": "wsgi.input" is not a proxy's to give.
bool is_plain_name(std::string_view name) {
    return !name.empty() && std::all_of(name.begin(), name.end(), [](char byte) {
        return (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') ||
               (byte >= '0' && byte <= '9') || byte == '_';
    });
}

void note(const Variable& variable, Gateway& gateway) {
    for (const Row& row : kRows)
        if (row.name == variable.name)
            gateway.*row.member = {variable.value, variable.offset, true};
}

class Composer {
  public:
    Composer(const Gateway& gateway, const Options& options, Request& request)
        : gateway_(gateway), options_(options), request_(request), head_(request.head) {}

    Fault request_line() {
        const std::string_view method = gateway_.method.empty() ? "GET" : gateway_.method.value;
        if (!http::is_token(method)) return {Error::kMethodInvalid, gateway_.method.offset};
        head_.append(method).append(" ");
        const auto begin = static_cast<uint32_t>(head_.size());
        const std::string_view script =
            options_.trusted ? gateway_.script.value : std::string_view();
        const Target target = append_target({method, gateway_.uri.value, gateway_.path.value,
                                             script, gateway_.query.value, gateway_.path.given},
                                            head_);
        if (!target.valid) return {Error::kTargetInvalid, gateway_.path.offset};
        request_.script_name = {begin, static_cast<uint32_t>(target.script_bytes)};
        head_ += " HTTP/1.1\r\n";
        return {};
    }

    // HTTP_X_Y: value. Which fields the body's framing depends on is read from the name as it will
    // be written, so that no spelling of it goes past.
    Fault field(const Variable& variable) {
        const size_t begin = head_.size();
        for (const char byte : variable.name.substr(kFieldPrefix.size()))
            head_ += byte == '_' ? '-' : byte;
        const std::string_view name = std::string_view(head_).substr(begin);
        if (!http::is_token(name)) return {Error::kFieldNameInvalid, variable.offset};
        if (!keeps(http::classify(name), variable)) {
            head_.resize(begin);
            return {};
        }
        if (breaks_lines(variable.value)) return {Error::kFieldValueInvalid, variable.offset};
        head_.append(": ").append(variable.value).append("\r\n");
        return {};
    }

    Fault end() {
        const Text& length =
            gateway_.content_length.given ? gateway_.content_length : field_length_;
        if (Fault fault = judge_length(length); fault.error != Error::kNone) return fault;
        const Text& type = gateway_.content_type.given ? gateway_.content_type : field_type_;
        if (Fault fault = own_field("Content-Type: ", type); fault.error != Error::kNone)
            return fault;
        if (Fault fault = own_field("Content-Length: ", length); fault.error != Error::kNone)
            return fault;
        // The proxy gives no body where the client gave one (authentication by subrequest). What
        // comes behind this packet all the same is not taken for another one.
        if (bodiless_) head_ += "Connection: close\r\n";
        head_ += "\r\n";
        return {};
    }

  private:
    bool keeps(KnownField known, const Variable& variable) {
        const Text text{variable.value, variable.offset, true};
        switch (known) {
            case KnownField::kContentLength:
                field_length_ = text;
                return false;
            case KnownField::kContentType:
                field_type_ = text;
                return false;
            case KnownField::kTransferEncoding:  // the proxy has taken the body out of its chunks
                transfer_encoding_ = text;
                return false;
            case KnownField::kExpect:  // 100 Continue was between the client and the proxy
                return false;
            case KnownField::kHost:  // nginx gives an empty one for none
                return !variable.value.empty();
            default:
                return true;
        }
    }

    // Two lengths are one of the proxy and one of the client: they may not differ. A chunked body
    // whose length nobody knows has no end that could be found.
    Fault judge_length(const Text& length) {
        const Text& given = gateway_.content_length;
        if (!given.empty() && !field_length_.empty() && given.value != field_length_.value)
            return {Error::kContentLengthRepeated, field_length_.offset};
        if (!transfer_encoding_.empty() && !given.given)
            return {Error::kLengthRequired, transfer_encoding_.offset};
        bodiless_ = length.empty() && (!transfer_encoding_.empty() || !field_length_.empty());
        return {};
    }

    Fault own_field(std::string_view name, const Text& text) {
        if (text.empty()) return {};
        if (breaks_lines(text.value)) return {Error::kFieldValueInvalid, text.offset};
        head_.append(name).append(text.value).append("\r\n");
        return {};
    }

    const Gateway& gateway_;
    const Options& options_;
    Request& request_;
    std::string& head_;
    Text field_length_, field_type_, transfer_encoding_;
    bool bodiless_ = false;
};

bool says_yes(std::string_view text) {
    return text == "1" || http::equals_ignoring_case(text, "on") ||
           http::equals_ignoring_case(text, "true") || http::equals_ignoring_case(text, "https");
}

// HTTPS before the others: where TLS ends before the proxy, it is what is set by hand, and
// REQUEST_SCHEME the proxy's own.
http::Scheme scheme_of(const Gateway& gateway) {
    if (!gateway.https.empty())
        return says_yes(gateway.https.value) ? http::Scheme::kHttps : http::Scheme::kHttp;
    for (const Text* text : {&gateway.url_scheme, &gateway.request_scheme}) {
        if (http::equals_ignoring_case(text->value, "https")) return http::Scheme::kHttps;
        if (http::equals_ignoring_case(text->value, "http")) return http::Scheme::kHttp;
    }
    return http::Scheme::kTransport;
}

void append_variable(const Variable& variable, std::string& out) {
    for (const std::string_view text : {variable.name, variable.value}) {
        append_size(text.size(), out);
        out += text;
    }
}

bool is_for_environ(const Variable& variable) {
    if (!is_plain_name(variable.name) || breaks_lines(variable.value)) return false;
    // nginx has a name only where server_name is set.
    const bool server = variable.name == "SERVER_NAME" || variable.name == "SERVER_PORT";
    if (server && variable.value.empty()) return false;
    return std::find(std::begin(kOwn), std::end(kOwn), variable.name) == std::end(kOwn);
}

void believe(const Gateway& gateway, Request& request) {
    if (!gateway.remote_addr.given) return;
    request.has_remote = true;
    if (!http::is_address(gateway.remote_addr.value)) return;
    request.remote_addr = gateway.remote_addr.value;
    uint64_t port = 0;
    if (http::parse_decimal(gateway.remote_port.value, port) && port <= 65535)
        request.remote_port = static_cast<uint16_t>(port);
}

Fault compose(std::string_view variables, const Options& options, Request& request) {
    Gateway gateway;
    Fault fault = for_each_variable(variables, [&gateway](const Variable& variable) -> Fault {
        if (!is_field(variable)) note(variable, gateway);
        return {};
    });
    if (fault.error != Error::kNone) return fault;
    Composer composer(gateway, options, request);
    fault = composer.request_line();
    if (fault.error != Error::kNone) return fault;
    fault = for_each_variable(variables, [&](const Variable& variable) -> Fault {
        if (is_field(variable)) return composer.field(variable);
        if (options.trusted && is_for_environ(variable))
            append_variable(variable, request.variables);
        return {};
    });
    if (fault.error != Error::kNone) return fault;
    request.scheme = scheme_of(gateway);
    if (options.trusted) believe(gateway, request);
    return composer.end();
}

}  // namespace

Step read(std::string_view bytes, const Options& options, Request& request) {
    const Packet packet = take_packet(bytes, options.packet_bytes_max);
    if (packet.status != Status::kDone) return {packet.status, packet.fault, 0};
    request.clear();
    const Fault fault = compose(packet.variables, options, request);
    if (fault.error != Error::kNone) return {Status::kMalformed, fault, 0};
    return {Status::kDone, {}, packet.size};
}

}  // namespace mono::uwsgi
