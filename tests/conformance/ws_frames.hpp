// Client frames written as text: the `frames` blocks of tests/vectors/ws, as
// tests/vectors/README.md describes them. Used by the conformance runner and the fuzz targets.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mono::conformance {

// Appends the bytes of all `lines`; returns a sentence for the first mistake, or nothing.
std::string encode_frames(const std::vector<std::string>& lines, std::string& out);

struct ClientFrame {
    uint8_t first = 0x82;  // FIN, reserved bits and opcode
    bool masked = true;
    int length_bytes = -1;         // of the extended length: 0, 2, 8; -1: the shortest
    uint64_t length = UINT64_MAX;  // what the head claims; UINT64_MAX: the truth
    uint32_t key = 0x37FA213D;     // RFC 6455 section 5.7
};
void append_frame(const ClientFrame& frame, std::string_view payload, std::string& out);

}  // namespace mono::conformance
