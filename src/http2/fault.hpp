// Fault: why this server ends an HTTP/2 connection in error. One table (fault.cpp) maps it to the
// code of the GOAWAY and to the words of the error log.
#pragma once

#include <cstdint>
#include <string_view>

namespace mono::http2 {

// RFC 9113 section 7.
enum class Code : uint32_t {
    kNoError = 0x0,
    kProtocolError = 0x1,
    kInternalError = 0x2,
    kFlowControlError = 0x3,
    kSettingsTimeout = 0x4,
    kStreamClosed = 0x5,
    kFrameSizeError = 0x6,
    kRefusedStream = 0x7,
    kCancel = 0x8,
    kCompressionError = 0x9,
    kConnectError = 0xA,
    kEnhanceYourCalm = 0xB,
    kInadequateSecurity = 0xC,
    kHttp11Required = 0xD,
};

enum class Fault : uint8_t {
    kNone,
    kPreface,      // the bytes are not HTTP/2's
    kProtocol,     // the peer broke the protocol; the code is what the codec chose
    kStreamEnded,  // HEADERS or DATA for a stream that the peer had ended
    kStreamOrder,  // a new stream whose number is not the highest
    kPriority,     // a PRIORITY frame without a stream, or of a stream that depends on itself
    kResetFlood,   // Limits, in its order
    kContinuationFlood,
    kPingFlood,
    kSettingsFlood,
    kEmptyFrameFlood,
    kPriorityFlood,
    kWindowUpdateFlood,
    kHeaderBomb,   // a header list many times larger than was said to be permitted
    kOutputFlood,  // Limits::queued_frames_max
    kInternal,     // the codec failed: no memory
    kCount,
};

struct FaultInfo {
    Code code;                // of the GOAWAY
    std::string_view rule;    // stable short name for the log, e.g. "h2-reset-flood"
    std::string_view detail;  // one sentence; also the debug data of the GOAWAY
};
const FaultInfo& describe(Fault fault);

}  // namespace mono::http2
