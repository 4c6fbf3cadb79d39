#include "http/request_id.hpp"

#include <algorithm>

namespace mono::http {
namespace {

constexpr std::string_view kHexDigits = "0123456789abcdef";
constexpr std::string_view kIdMarks = "-._~+/=:@";

bool is_id_byte(char byte) {
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
           (byte >= 'A' && byte <= 'Z') || kIdMarks.find(byte) != std::string_view::npos;
}

// Upper case is not allowed in a traceparent.
bool is_hex(std::string_view text) {
    return text.find_first_not_of(kHexDigits) == std::string_view::npos;
}

bool is_zero(std::string_view text) {
    return text.find_first_not_of('0') == std::string_view::npos;
}

// A field that may come once: a second one makes it worth nothing.
class Once {
  public:
    void see(const base::Slice& value) { value_ = count_++ == 0 ? value : base::Slice{}; }
    const base::Slice& value() const { return value_; }

  private:
    base::Slice value_;
    int count_ = 0;
};

}  // namespace

bool is_request_id(std::string_view text) {
    return !text.empty() && text.size() <= kRequestIdBytesMax &&
           std::all_of(text.begin(), text.end(), is_id_byte);
}

RequestIdMaker::RequestIdMaker(uint64_t worker) {
    for (size_t at = kWorkerDigits; at-- > 0; worker >>= 4) next_[at] = kHexDigits[worker & 15];
    std::fill(next_.begin() + kWorkerDigits, next_.end(), '0');
}

void RequestIdMaker::make(RequestId& id) {
    id.assign({next_.data(), next_.size()});
    for (size_t at = next_.size(); at-- > kWorkerDigits;) {
        char& digit = next_[at];
        if (digit == 'f') {
            digit = '0';
            continue;
        }
        digit = digit == '9' ? 'a' : static_cast<char>(digit + 1);
        return;
    }
}

std::string_view trace_id_of(std::string_view traceparent) {
    // version "-" trace-id "-" parent-id "-" flags; later versions may go on behind a "-".
    constexpr size_t kTrace = 3;
    constexpr size_t kParent = 36;
    constexpr size_t kFlags = 53;
    constexpr size_t kSize = 55;
    if (traceparent.size() < kSize) return {};
    const std::string_view version = traceparent.substr(0, 2);
    const std::string_view trace = traceparent.substr(kTrace, 32);
    const std::string_view parent = traceparent.substr(kParent, 16);
    const bool separated = traceparent[kTrace - 1] == '-' && traceparent[kParent - 1] == '-' &&
                           traceparent[kFlags - 1] == '-';
    if (!separated || !is_hex(version) || version == "ff" || !is_hex(trace) || is_zero(trace) ||
        !is_hex(parent) || is_zero(parent) || !is_hex(traceparent.substr(kFlags, 2)))
        return {};
    if (traceparent.size() > kSize && (version == "00" || traceparent[kSize] != '-')) return {};
    return trace;
}

RequestOrigin read_origin(const char* buffer, const RequestHead& head, bool peer_trusted) {
    Once id;
    Once trace;
    base::Slice request_start;
    base::Slice queue_start;
    for (const Field& field : head.fields) {
        switch (field.known) {
            case KnownField::kXRequestId:
                id.see(field.value);
                break;
            case KnownField::kTraceparent:
                trace.see(field.value);
                break;
            // Proxies append: the first one was there first.
            case KnownField::kXRequestStart:
                if (request_start.empty()) request_start = field.value;
                break;
            case KnownField::kXQueueStart:
                if (queue_start.empty()) queue_start = field.value;
                break;
            default:
                break;
        }
    }
    RequestOrigin origin;
    const std::string_view trace_id = trace_id_of(trace.value().in(buffer));
    if (!trace_id.empty())
        origin.trace_id = {static_cast<uint32_t>(trace_id.data() - buffer),
                           static_cast<uint32_t>(trace_id.size())};
    if (!peer_trusted) return origin;
    if (is_request_id(id.value().in(buffer))) origin.request_id = id.value();
    origin.queue_start = request_start.empty() ? queue_start : request_start;
    return origin;
}

}  // namespace mono::http
