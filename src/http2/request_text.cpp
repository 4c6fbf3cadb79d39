#include "http2/request_text.hpp"

#include <algorithm>

#include "http/names.hpp"

namespace mono::http2 {
namespace {

constexpr size_t kFieldOverhead = 32;  // RFC 9113 section 6.5.2
constexpr std::string_view kPseudo[] = {":method", ":scheme", ":authority", ":path", ":protocol"};
// RFC 8441 section 5: these have no place in HTTP/2. The key is the base64 of sixteen zeros.
constexpr std::string_view kWebSocketLines =
    "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";

// RFC 9110 section 6.5.1 and 7.6.1: framing, routing, authentication, and how to read the content.
constexpr std::string_view kNoTrailers[] = {
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "max-forwards",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
};

bool is_visible(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char byte) {
        const auto value = static_cast<uint8_t>(byte);
        return value > 0x20 && value != 0x7F;
    });
}

bool is_one_line(std::string_view text) {
    return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
}

// What the server makes itself for a WebSocket.
bool is_made_for_websocket(std::string_view name) { return name == "sec-websocket-key"; }

}  // namespace

void RequestText::clear() {
    for (std::string& part : parts_) part.clear();
    text_.clear();
    cookie_.clear();
    host_.clear();
    list_bytes_ = 0;
    priority_ = {};
    verdict_ = Verdict::kGood;
    begun_ = has_content_length_ = false;
}

void RequestText::refuse(Verdict verdict) {
    if (verdict_ == Verdict::kGood) verdict_ = verdict;
}

void RequestText::count(std::string_view name, std::string_view value) {
    list_bytes_ += name.size() + value.size() + kFieldOverhead;
}

void RequestText::add(std::string_view name, std::string_view value, size_t list_bytes_max) {
    count(name, value);
    if (list_bytes_ > list_bytes_max) refuse(Verdict::kTooLarge);
    if (verdict_ != Verdict::kGood) return;
    if (name.starts_with(':')) return add_pseudo(name, value);
    if (!http::is_token(name) || !is_one_line(value)) return refuse(Verdict::kMalformed);
    if (!begun_) begin_text();
    if (verdict_ == Verdict::kGood) add_field(name, value);
}

void RequestText::add_pseudo(std::string_view name, std::string_view value) {
    const auto* const found = std::find(std::begin(kPseudo), std::end(kPseudo), name);
    if (found == std::end(kPseudo) || begun_ || !is_visible(value))
        return refuse(Verdict::kMalformed);
    std::string& part = parts_[static_cast<size_t>(found - std::begin(kPseudo))];
    if (!part.empty()) return refuse(Verdict::kMalformed);
    part = value;
}

void RequestText::add_field(std::string_view name, std::string_view value) {
    switch (name.size()) {
        case 4:
            if (name == "host") return add_host(value);
            break;
        case 6:
            if (name == "cookie") {  // RFC 9113 section 8.2.3
                if (!cookie_.empty()) cookie_ += "; ";
                cookie_ += value;
                return;
            }
            break;
        case 8:
            if (name == "priority") priority_ = parse_priority(value);
            break;
        case 14:
            has_content_length_ |= name == "content-length";
            break;
        default:
            if (websocket() && is_made_for_websocket(name)) return;
    }
    line(name, value);
}

// RFC 9113 section 8.3.1: Host may repeat :authority, not contradict it.
void RequestText::add_host(std::string_view value) {
    const std::string& authority = parts_[kAuthority];
    if (!authority.empty()) {
        if (!http::equals_ignoring_case(authority, value)) refuse(Verdict::kMalformed);
        return;
    }
    host_ = value;
    line("host", value);
}

void RequestText::line(std::string_view name, std::string_view value) {
    text_.append(name).append(": ").append(value).append("\r\n");
}

bool RequestText::parts_are_sound() const {
    if (!http::is_token(parts_[kMethod])) return false;
    if (parts_[kMethod] != "CONNECT") return !parts_[kPath].empty() && parts_[kProtocol].empty();
    const bool plain = parts_[kPath].empty() && parts_[kScheme].empty();
    return !parts_[kAuthority].empty() && plain == parts_[kProtocol].empty();
}

std::string_view RequestText::target() const {
    return parts_[kPath].empty() ? parts_[kAuthority] : parts_[kPath];
}

void RequestText::begin_text() {
    begun_ = true;
    if (!parts_are_sound()) return refuse(Verdict::kMalformed);
    if (websocket() && !http::equals_ignoring_case(parts_[kProtocol], "websocket"))
        return refuse(Verdict::kUnknown);
    const std::string_view method = websocket() ? "GET" : std::string_view(parts_[kMethod]);
    text_.append(method).append(" ").append(target()).append(" HTTP/1.1\r\n");
    if (!parts_[kAuthority].empty()) line("host", parts_[kAuthority]);
    if (websocket()) text_ += kWebSocketLines;
}

void RequestText::finish() {
    if (verdict_ == Verdict::kGood && !begun_) begin_text();
    if (!cookie_.empty()) line("cookie", cookie_);
    text_ += "\r\n";
}

RequestInfo RequestText::info(bool end_stream) const {
    RequestInfo info;
    info.scheme = parts_[kScheme];
    info.authority = parts_[kAuthority].empty() ? host_ : parts_[kAuthority];
    info.protocol = parts_[kProtocol];
    info.end_stream = end_stream;
    info.has_content_length = has_content_length_;
    info.priority = priority_;
    return info;
}

void add_trailer(std::string& lines, std::string_view name, std::string_view value) {
    if (!http::is_token(name) || !is_one_line(value)) return;
    if (std::find(std::begin(kNoTrailers), std::end(kNoTrailers), name) != std::end(kNoTrailers))
        return;
    lines.append(name).append(": ").append(value).append("\r\n");
}

}  // namespace mono::http2
