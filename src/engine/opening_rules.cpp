#include "engine/opening_rules.hpp"

#include <algorithm>
#include <utility>

namespace mono::engine {

namespace {

uint32_t count(int64_t value) {
    return static_cast<uint32_t>(std::clamp<int64_t>(value, 0, UINT32_MAX));
}

proxy::Versions versions_of(const std::string& mode) {
    if (mode == "v1") return proxy::Versions::kV1;
    return mode == "v2" ? proxy::Versions::kV2 : proxy::Versions::kBoth;
}

}  // namespace

base::Result<OpeningRules> opening_rules_from(const config::Settings& settings) {
    OpeningRules rules;
    // A uwsgi packet says who the client is by itself.
    const bool http = settings.protocol == "http";
    rules.proxy = http && settings.proxy_protocol != "off";
    rules.proxy_versions = versions_of(settings.proxy_protocol);
    auto allowed = http::NetworkSet::parse(settings.proxy_allow_ips);
    if (!allowed) return base::Failure{"proxy_allow_ips: " + allowed.sentence()};
    rules.proxy_allow_ips = std::move(allowed.value());
    rules.proxy_ms_max = settings.proxy_protocol_timeout * 1'000;
    rules.tls_ms_max = settings.tls_handshake_timeout * 1'000;
    const std::string& cleartext = settings.http2_cleartext;
    rules.http2_cleartext = http && (cleartext == "prior-knowledge" || cleartext == "both");
    return rules;
}

http2::Limits http2_limits_from(const config::Settings& settings) {
    http2::Limits limits;
    limits.streams_max = static_cast<uint32_t>(settings.http2_max_concurrent_streams);
    limits.window_bytes = static_cast<uint32_t>(settings.http2_initial_window_size);
    limits.frame_bytes_max = static_cast<uint32_t>(settings.http2_max_frame_size);
    limits.header_list_bytes_max = count(settings.http2_max_header_list_size);
    limits.connection_window_bytes = static_cast<uint32_t>(settings.http2_connection_window_size);
    limits.continuations_max = count(settings.http2_max_continuations);
    limits.queued_frames_max = count(settings.http2_max_queued_frames);
    limits.resets_max = count(settings.http2_max_resets);
    limits.pings_max = count(settings.http2_max_pings);
    limits.settings_max = count(settings.http2_max_settings);
    limits.empty_frames_max = count(settings.http2_max_empty_frames);
    limits.priorities_max = count(settings.http2_max_priorities);
    limits.window_updates_max = count(settings.http2_max_window_updates);
    return limits;
}

}  // namespace mono::engine
