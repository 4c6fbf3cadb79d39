// WebSocket frames, RFC 6455 section 5: a sans-I/O parser of what a client sends, and the
// encoder's pieces. It checks everything that frames alone can show, their order included;
// messages, texts and limits are WebSocket (websocket/websocket.hpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace mono::websocket {

enum class Opcode : uint8_t {
    kContinuation = 0x0,
    kText = 0x1,
    kBinary = 0x2,
    kClose = 0x8,
    kPing = 0x9,
    kPong = 0xA,
};

// Every way in which a client can break the protocol after the handshake.
enum class Fault : uint8_t {
    kNone,
    kReservedBit,         // RSV2, RSV3, or RSV1 where no extension gives it a meaning
    kReservedOpcode,      // 3 to 7, 11 to 15
    kUnmasked,            // section 5.1
    kControlTooLong,      // section 5.5
    kControlFragmented,   // section 5.5
    kLengthNotShortest,   // section 5.2
    kLengthTooLarge,      // the most significant bit of 64 is set
    kNothingToContinue,   // a continuation without a beginning
    kMessageInterrupted,  // a new message before the last one's end
    kCloseMalformed,      // a Close of one byte
    kCloseCode,           // section 7.4: a code that nobody may send
    kTextNotUtf8,         // in a text or in a reason
    kCompressionCorrupt,
    kMessageTooBig,
    kCount,
};

struct FaultInfo {
    uint16_t close_code;      // of the Close that the server sends
    std::string_view rule;    // stable short name for the log
    std::string_view detail;  // one sentence; also the reason in the Close
};
const FaultInfo& describe(Fault fault);

constexpr uint16_t kNormal = 1000;
constexpr uint16_t kGoingAway = 1001;
constexpr uint16_t kNoCode = 1005;    // never sent: the Close had no code
constexpr uint16_t kAbnormal = 1006;  // never sent: there was no Close
constexpr uint16_t kInternalError = 1011;
constexpr uint16_t kServiceRestart = 1012;
// What may stand in a Close: RFC 6455 section 7.4 and the IANA registry of close codes.
bool is_close_code(uint16_t code);

constexpr size_t kControlBytesMax = 125;
constexpr size_t kReasonBytesMax = 123;

// The parts of a Close frame's payload. No payload is kNoCode.
struct Close {
    uint16_t code = kNoCode;
    std::string_view reason;
};
[[nodiscard]] Fault parse_close(std::string_view payload, Close& close);

struct Frame {
    uint64_t length = 0;  // of the payload
    Opcode opcode = Opcode::kContinuation;
    bool fin = false;
    bool compressed = false;  // RSV1: the message that begins here (RFC 7692 section 6)

    bool is_control() const { return opcode >= Opcode::kClose; }
};

class FrameParser {
  public:
    enum class Event : uint8_t { kNeedMore, kFrame, kPayload, kFailed };
    struct Step {
        Event event = Event::kNeedMore;
        size_t consumed = 0;       // bytes of the input that are dealt with
        std::string_view payload;  // with kPayload: a piece of the input, unmasked in place
        bool last = false;         // with kPayload: the frame ends here
    };

    // `compression`: permessage-deflate was agreed on, so RSV1 has a meaning.
    explicit FrameParser(bool compression) : compression_(compression) {}

    // Call again with the rest of the input until kNeedMore or kFailed. kFrame: frame() is new.
    // Each kFrame is followed by one kPayload or more; only that of an empty frame is empty.
    [[nodiscard]] Step next(char* input, size_t size);

    const Frame& frame() const { return frame_; }
    Fault fault() const { return fault_; }

  private:
    enum class Phase : uint8_t { kHead, kPayload, kFailed };
    static constexpr size_t kHeadBytesMax = 14;  // 2, a length of 8, a key of 4

    size_t take_head(const char* input, size_t size);
    size_t head_bytes() const;
    Fault judge_start() const;
    Fault judge_length() const;
    Fault judge_order() const;
    void read_length();

    Phase phase_ = Phase::kHead;
    Fault fault_ = Fault::kNone;
    bool compression_;
    bool in_message_ = false;  // between a message's first frame and its last
    uint8_t head_size_ = 0;
    uint8_t head_[kHeadBytesMax] = {};
    uint32_t key_ = 0;  // in memory order, rotated to the next byte
    uint64_t left_ = 0;
    Frame frame_;
};

// Applies the key to `size` bytes; returns the key as the byte behind them needs it.
uint32_t unmask(char* bytes, size_t size, uint32_t key);

constexpr size_t kServerHeadMax = 10;
// Writes the head of an unmasked, whole frame and returns its length.
size_t write_head(Opcode opcode, bool compressed, uint64_t length, char* out);

}  // namespace mono::websocket
