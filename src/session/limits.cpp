#include "session/limits.hpp"

#include <algorithm>

#include "http/names.hpp"

namespace mono::session {
namespace {

constexpr int64_t kFieldBytesDefault = 8190;
constexpr int64_t kFieldsMax = 32768;
constexpr int64_t kHurryMsMax = 1'000;  // before the end of graceful_timeout

uint32_t bounded(int64_t value, int64_t upper) {
    return static_cast<uint32_t>(std::clamp<int64_t>(value, 0, upper));
}

http1::HeadRules head_rules(const config::Settings& settings) {
    http1::HeadRules rules;
    int64_t line = settings.limit_request_line;
    int64_t fields = settings.limit_request_fields;
    int64_t size = settings.limit_request_field_size;
    int64_t head = settings.limit_request_head;
    rules.line_bytes_max = bounded(line, kFieldBytesDefault);
    rules.fields_max = fields == 0 ? kFieldsMax : bounded(fields, kFieldsMax);
    rules.field_bytes_max = bounded(size, INT32_MAX);
    rules.head_bytes_max = head == 0 ? INT32_MAX : bounded(head, INT32_MAX);
    rules.permit_obsolete_folding = settings.permit_obsolete_folding;
    rules.strip_header_spaces = settings.strip_header_spaces;
    rules.permit_unconventional_http_method = settings.permit_unconventional_http_method;
    rules.permit_unconventional_http_version = settings.permit_unconventional_http_version;
    rules.casefold_http_method = settings.casefold_http_method;
    return rules;
}

http::HeaderMap header_map(const std::string& name) {
    if (name == "refuse") return http::HeaderMap::kRefuse;
    if (name == "dangerous") return http::HeaderMap::kDangerous;
    return http::HeaderMap::kDrop;
}

std::optional<http::ForwardedFields> forwarded_client(const std::string& name) {
    if (name == "x-forwarded-for") return http::ForwardedFields::kXForwarded;
    if (name == "forwarded") return http::ForwardedFields::kForwarded;
    if (name == "both") return http::ForwardedFields::kBoth;
    return {};
}

}  // namespace

base::Result<Limits> limits_from(const config::Settings& settings) {
    Limits limits;
    limits.head = head_rules(settings);
    auto trusted = http::NetworkSet::parse(settings.forwarded_allow_ips);
    if (!trusted) return base::Failure{"forwarded_allow_ips: " + trusted.sentence()};
    limits.trust.forwarded_allow_ips = std::move(trusted.value());
    limits.trust.secure_scheme_headers = settings.secure_scheme_headers;
    limits.trust.forwarder_headers = settings.forwarder_headers;
    limits.trust.header_map = header_map(settings.header_map);
    limits.forwarded_client = forwarded_client(settings.forwarded_client);
    if (settings.protocol == "uwsgi") {
        auto allowed = http::NetworkSet::parse(settings.uwsgi_allow_ips);
        if (!allowed) return base::Failure{"uwsgi_allow_ips: " + allowed.sentence()};
        limits.uwsgi_allow_ips = std::move(allowed.value());
    }
    limits.body_bytes_max = static_cast<uint64_t>(settings.limit_request_body);
    limits.body_memory_bytes_max = static_cast<uint64_t>(settings.client_body_buffer_size);
    auto buffering = BufferingRules::parse(settings.request_buffering);
    if (!buffering) return base::Failure{"request_buffering " + buffering.sentence()};
    limits.buffering = std::move(buffering.value());
    limits.head_ms_max = settings.client_header_timeout * 1'000;
    limits.body_ms_max = settings.client_body_timeout * 1'000;
    limits.body_rate_min = static_cast<uint64_t>(settings.body_rate_min);
    limits.spilled_bytes_max = static_cast<uint64_t>(settings.tmp_upload_max);
    limits.send_ms_max = settings.send_timeout * 1'000;
    limits.keepalive_ms_max = settings.keepalive * 1'000;
    limits.request_ms_max = settings.request_timeout * 1'000;
    limits.request_kill_ms_max = settings.request_kill_timeout * 1'000;
    limits.queue_ms_max = settings.queue_timeout * 1'000;
    int64_t grace_ms = settings.graceful_timeout * 1'000;
    limits.hurry_ms = grace_ms - std::min(kHurryMsMax, grace_ms / 4);
    limits.drain_delay_ms = settings.drain_delay * 1'000;
    limits.stream_grace_ms = settings.stream_grace * 1'000;
    limits.readiness_path = settings.readiness_path;
    limits.temp_directory = settings.tmp_upload_dir;
    limits.request_id_header = settings.request_id_header;
    if (!limits.request_id_header.empty() && !http::is_token(limits.request_id_header))
        return base::Failure{"request_id_header: " + limits.request_id_header +
                             " is not the name of a header field."};
    return limits;
}

}  // namespace mono::session
