// Limits: what one HTTP/2 connection may ask of this server. From settings; one immutable instance
// an engine. A count is of one period; 0 turns that count off.
#pragma once

#include <cstdint>

namespace mono::http2 {

struct Limits {
    // Told to the peer in SETTINGS (RFC 9113 section 6.5.2).
    uint32_t streams_max = 100;              // open at a time
    uint32_t window_bytes = 65535;           // of a new stream
    uint32_t frame_bytes_max = 16384;        // of a payload
    uint32_t header_list_bytes_max = 65536;  // RFC 9113's measure; 0: not told, 1 MiB
    uint32_t header_table_bytes = 4096;      // HPACK, each way
    bool extended_connect = true;            // RFC 8441: WebSockets

    // Request bodies that the application has not taken, of all streams together. At least 65535.
    uint32_t connection_window_bytes = 1024 * 1024;
    // Output made ahead of what the transport takes; a frame and a head more at most.
    uint32_t output_bytes_max = 64 * 1024;
    // Frames that wait behind that output: answers to a peer that sends and does not read.
    uint32_t queued_frames_max = 1000;
    // After the first HEADERS frame of one header block.
    uint32_t continuations_max = 8;

    uint32_t period_ms = 10'000;
    // Streams that end early: by the peer's RST_STREAM, or by ours for the peer's fault.
    uint32_t resets_max = 200;
    uint32_t pings_max = 1000;
    uint32_t settings_max = 100;
    uint32_t empty_frames_max = 1000;  // DATA and CONTINUATION that carry and end nothing
    uint32_t priorities_max = 1000;    // PRIORITY and PRIORITY_UPDATE
    // Beyond four for each DATA frame that was sent.
    uint32_t window_updates_max = 1000;
};

}  // namespace mono::http2
