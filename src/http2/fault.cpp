#include "http2/fault.hpp"

#include <cstddef>

namespace mono::http2 {
namespace {

constexpr Code kCalm = Code::kEnhanceYourCalm;

// In the order of the enumeration; fault_test.cpp pins names to enumerators.
constexpr FaultInfo kTable[] = {
    {Code::kNoError, "none", "No fault."},
    {Code::kProtocolError, "h2-preface", "The connection does not begin as HTTP/2 does."},
    {Code::kProtocolError, "h2-protocol", "The peer broke the rules of HTTP/2."},
    {Code::kStreamClosed, "h2-stream-ended", "A frame came for a stream that had ended."},
    {Code::kProtocolError, "h2-stream-order", "A new stream has a lower number than another."},
    {Code::kProtocolError, "h2-priority", "A priority names no stream, or depends on itself."},
    {kCalm, "h2-reset-flood", "Too many streams were ended early."},
    {kCalm, "h2-continuation-flood", "A header block has too many CONTINUATION frames."},
    {kCalm, "h2-ping-flood", "Too many PING frames."},
    {kCalm, "h2-settings-flood", "Too many SETTINGS frames."},
    {kCalm, "h2-empty-frame-flood", "Too many frames without content."},
    {kCalm, "h2-priority-flood", "Too many changes of priority."},
    {kCalm, "h2-window-update-flood", "Too many WINDOW_UPDATE frames."},
    {kCalm, "h2-header-bomb", "A header list is many times larger than permitted."},
    {kCalm, "h2-output-flood", "The peer makes frames to be sent and does not read them."},
    {Code::kInternalError, "h2-internal", "The HTTP/2 codec failed."},
};
static_assert(sizeof(kTable) / sizeof(kTable[0]) == static_cast<size_t>(Fault::kCount),
              "one row for every Fault");

}  // namespace

const FaultInfo& describe(Fault fault) { return kTable[static_cast<size_t>(fault)]; }

}  // namespace mono::http2
