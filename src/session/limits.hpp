// Every bound that a connection obeys, in one place. Built once from settings; immutable; shared
// by all connections of an engine. Bytes, milliseconds; 0 in *_ms_max means "no limit".
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "config/settings.hpp"
#include "http/forwarded.hpp"
#include "http/trust.hpp"
#include "http1/head_parser.hpp"
#include "session/buffering.hpp"

namespace mono::session {

// Not settable: nobody has needed to.
constexpr uint64_t kOutputMemoryBytesMax = 256 * 1024;  // of one response, before it is spilled
constexpr uint64_t kOutputWaitBytes = 1 << 20;          // in memory: then the application waits,
constexpr uint64_t kOutputSpillBytesMax = 1ull << 30;   // or with so much on disk
constexpr uint64_t kOutputHighBytes = 64 * 1024;        // a nested runner's writer waits from here
constexpr uint64_t kOutputLowBytes = 16 * 1024;         // ... until here
constexpr uint64_t kStreamHighBytes = 256 * 1024;       // of a streamed body, before reading rests
constexpr uint64_t kStreamLowBytes = 128 * 1024;        // ... and before it goes on
constexpr int64_t kBodyGraceMs = 60'000;       // for body_rate_min, where body_ms_max is no limit
constexpr uint32_t kReceiveBytes = 64 * 1024;  // one recv(2)
constexpr uint32_t kIdleBufferBytes = 2048;    // what a pooled input buffer may keep

struct Limits {
    http1::HeadRules head;
    http::TrustRules trust;
    // Set: whose word it is who the client is.
    std::optional<http::ForwardedFields> forwarded_client;
    std::optional<http::NetworkSet> uwsgi_allow_ips;  // set: requests come by uwsgi, from these
    uint64_t body_bytes_max = 0;                      // 0 = unlimited
    uint64_t body_memory_bytes_max = 64 * 1024;
    BufferingRules buffering;           // which bodies are not taken in before the application runs
    int64_t head_ms_max = 60'000;       // from the first byte of a head to its last
    int64_t body_ms_max = 60'000;       // between two reads of a body
    uint64_t body_rate_min = 500;       // bytes a second, of a body that takes longer; 0 = any
    uint64_t spilled_bytes_max = 0;     // of all bodies in files; 0 = as many as the disk takes
    int64_t send_ms_max = 60'000;       // without progress on a response
    int64_t keepalive_ms_max = 75'000;  // idle between two requests; 0: every answer closes
    int64_t request_ms_max = 0;         // until the application begins its answer; then 504
    int64_t request_kill_ms_max = 0;    // until the worker has to go
    int64_t queue_ms_max = 0;           // from a request's arrival until the application gets it
    int64_t hurry_ms = 29'000;          // of a drain: then what waits is refused
    int64_t drain_delay_ms = 0;         // a stop goes on accepting for so long
    int64_t stream_grace_ms = 0;        // of a drain: then streams and WebSockets are told to go
    std::string readiness_path;         // answered without the application; empty: none
    std::string temp_directory;
    std::string script_name;        // of the process environment
    std::string request_id_header;  // answers carry the request's id in it; empty: they do not
};

base::Result<Limits> limits_from(const config::Settings& settings);

}  // namespace mono::session
