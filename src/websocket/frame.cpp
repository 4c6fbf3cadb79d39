#include "websocket/frame.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "http/scan.hpp"
#include "websocket/utf8.hpp"

namespace mono::websocket {
namespace {

constexpr uint8_t kFin = 0x80;
constexpr uint8_t kRsv1 = 0x40;
constexpr uint8_t kRsv2And3 = 0x30;
constexpr uint8_t kOpcodeBits = 0x0F;
constexpr uint8_t kMasked = 0x80;
constexpr uint8_t kLengthBits = 0x7F;
constexpr uint8_t kLength16 = 126;
constexpr uint8_t kLength64 = 127;
constexpr size_t kKeyBytes = 4;

// In the order of the enumeration; frame_test.cpp pins names to enumerators.
constexpr FaultInfo kTable[] = {
    {1000, "none", "No fault."},
    {1002, "ws-reserved-bit", "A frame has a reserved bit set."},
    {1002, "ws-reserved-opcode", "A frame has a reserved opcode."},
    {1002, "ws-unmasked", "A frame is not masked."},
    {1002, "ws-control-too-long", "A control frame holds more than 125 bytes."},
    {1002, "ws-control-fragmented", "A control frame is fragmented."},
    {1002, "ws-length-not-shortest", "A frame's length is not in its shortest form."},
    {1002, "ws-length-too-large", "A frame's length is beyond 63 bits."},
    {1002, "ws-nothing-to-continue", "A continuation frame continues nothing."},
    {1002, "ws-message-interrupted", "A message begins before the last one has ended."},
    {1002, "ws-close-malformed", "A close frame holds half a code."},
    {1002, "ws-close-code", "A close frame holds a code that must not be sent."},
    {1007, "ws-text-not-utf8", "A text is not UTF-8."},
    {1007, "ws-compression-corrupt", "A compressed message cannot be decompressed."},
    {1009, "ws-message-too-big", "A message is larger than this server permits."},
};
static_assert(sizeof(kTable) / sizeof(kTable[0]) == static_cast<size_t>(Fault::kCount),
              "one row for every Fault");

bool is_known(uint8_t opcode) { return opcode <= 0x2 || (opcode >= 0x8 && opcode <= 0xA); }

}  // namespace

const FaultInfo& describe(Fault fault) { return kTable[static_cast<size_t>(fault)]; }

bool is_close_code(uint16_t code) {
    if (code >= 3000) return code <= 4999;
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014);
}

Fault parse_close(std::string_view payload, Close& close) {
    close = {};
    if (payload.empty()) return Fault::kNone;
    if (payload.size() == 1) return Fault::kCloseMalformed;
    const auto high = static_cast<uint8_t>(payload[0]);
    const auto low = static_cast<uint8_t>(payload[1]);
    close.code = static_cast<uint16_t>(high << 8 | low);
    close.reason = payload.substr(2);
    if (!is_close_code(close.code)) return Fault::kCloseCode;
    return is_utf8(close.reason) ? Fault::kNone : Fault::kTextNotUtf8;
}

// The size of the whole head, as far as the bytes that have arrived tell it.
size_t FrameParser::head_bytes() const {
    if (head_size_ < 2) return 2;
    const uint8_t length = head_[1] & kLengthBits;
    return 2 + (length == kLength16 ? 2U : length == kLength64 ? 8U : 0U) + kKeyBytes;
}

// What the first two bytes show. The order of the checks is the order of the bits.
Fault FrameParser::judge_start() const {
    const uint8_t opcode = head_[0] & kOpcodeBits;
    const bool control = opcode >= 0x8;
    // RFC 7692 section 6: RSV1 belongs to the first frame of a message.
    const bool rsv1_allowed = compression_ && !control && opcode != 0;
    if ((head_[0] & kRsv2And3) != 0) return Fault::kReservedBit;
    if ((head_[0] & kRsv1) != 0 && !rsv1_allowed) return Fault::kReservedBit;
    if (!is_known(opcode)) return Fault::kReservedOpcode;
    if (control && (head_[0] & kFin) == 0) return Fault::kControlFragmented;
    const Fault order = judge_order();
    if (order != Fault::kNone) return order;
    if ((head_[1] & kMasked) == 0) return Fault::kUnmasked;
    if (control && (head_[1] & kLengthBits) > kControlBytesMax) return Fault::kControlTooLong;
    return Fault::kNone;
}

// RFC 6455 section 5.4. Control frames may stand between the fragments of a message.
Fault FrameParser::judge_order() const {
    const uint8_t opcode = head_[0] & kOpcodeBits;
    if (opcode >= 0x8) return Fault::kNone;
    if (opcode == 0) return in_message_ ? Fault::kNone : Fault::kNothingToContinue;
    return in_message_ ? Fault::kMessageInterrupted : Fault::kNone;
}

void FrameParser::read_length() {
    const uint8_t length = head_[1] & kLengthBits;
    const size_t bytes = length == kLength16 ? 2 : length == kLength64 ? 8 : 0;
    frame_.length = bytes == 0 ? length : 0;
    for (size_t at = 0; at < bytes; ++at) frame_.length = frame_.length << 8 | head_[2 + at];
}

Fault FrameParser::judge_length() const {
    const uint8_t form = head_[1] & kLengthBits;
    if (form == kLength16 && frame_.length < kLength16) return Fault::kLengthNotShortest;
    if (form == kLength64 && frame_.length <= 0xFFFF) return Fault::kLengthNotShortest;
    return frame_.length >> 63 != 0 ? Fault::kLengthTooLarge : Fault::kNone;
}

// Takes what `input` has of the current head; phase_ tells whether it is whole.
size_t FrameParser::take_head(const char* input, size_t size) {
    size_t used = 0;
    while (head_size_ < head_bytes()) {
        const size_t piece = std::min(head_bytes() - head_size_, size - used);
        if (piece == 0) return used;
        std::memcpy(head_ + head_size_, input + used, piece);
        head_size_ = static_cast<uint8_t>(head_size_ + piece);
        used += piece;
        if (head_size_ == 2) fault_ = judge_start();
        if (fault_ != Fault::kNone) return used;
    }
    read_length();
    fault_ = judge_length();
    if (fault_ != Fault::kNone) return used;
    frame_.opcode = static_cast<Opcode>(head_[0] & kOpcodeBits);
    frame_.fin = (head_[0] & kFin) != 0;
    frame_.compressed = (head_[0] & kRsv1) != 0;
    std::memcpy(&key_, head_ + head_size_ - kKeyBytes, kKeyBytes);
    if (!frame_.is_control()) in_message_ = !frame_.fin;
    left_ = frame_.length;
    head_size_ = 0;
    phase_ = Phase::kPayload;
    return used;
}

FrameParser::Step FrameParser::next(char* input, size_t size) {
    switch (phase_) {
        case Phase::kHead: {
            const size_t used = take_head(input, size);
            if (fault_ != Fault::kNone) {
                phase_ = Phase::kFailed;
                return {Event::kFailed, used, {}, false};
            }
            return {phase_ == Phase::kPayload ? Event::kFrame : Event::kNeedMore, used, {}, false};
        }
        case Phase::kPayload: {
            const auto piece = static_cast<size_t>(std::min<uint64_t>(left_, size));
            if (piece == 0 && left_ != 0) return {};
            key_ = unmask(input, piece, key_);
            left_ -= piece;
            if (left_ == 0) phase_ = Phase::kHead;
            return {Event::kPayload, piece, {input, piece}, left_ == 0};
        }
        case Phase::kFailed:
            break;
    }
    return {Event::kFailed, 0, {}, false};
}

uint32_t unmask(char* bytes, size_t size, uint32_t key) {
    if (key == 0) return 0;
    char* const end = bytes + size;
    const uint64_t wide = uint64_t{key} << 32 | key;
#ifdef MONO_HTTP_SSE2
    const __m128i widest = _mm_set1_epi32(static_cast<int>(key));
    for (; end - bytes >= 16; bytes += 16)
        _mm_storeu_si128(reinterpret_cast<__m128i*>(bytes),
                         _mm_xor_si128(http::scan::load(bytes), widest));
#endif
    for (; end - bytes >= 8; bytes += 8) {
        uint64_t eight;
        std::memcpy(&eight, bytes, sizeof(eight));
        eight ^= wide;
        std::memcpy(bytes, &eight, sizeof(eight));
    }
    char four[kKeyBytes];
    std::memcpy(four, &key, kKeyBytes);
    for (size_t at = 0; bytes != end; ++bytes, ++at)
        *bytes = static_cast<char>(*bytes ^ four[at % kKeyBytes]);
    const int turn = static_cast<int>(8 * (size % kKeyBytes));
    return std::endian::native == std::endian::little ? std::rotr(key, turn) : std::rotl(key, turn);
}

size_t write_head(Opcode opcode, bool compressed, uint64_t length, char* out) {
    out[0] = static_cast<char>(kFin | (compressed ? kRsv1 : 0) | static_cast<uint8_t>(opcode));
    const size_t bytes = length < kLength16 ? 0 : length <= 0xFFFF ? 2 : 8;
    out[1] = static_cast<char>(bytes == 0 ? length : bytes == 2 ? kLength16 : kLength64);
    for (size_t at = 0; at < bytes; ++at)
        out[2 + at] = static_cast<char>(length >> (8 * (bytes - 1 - at)));
    return 2 + bytes;
}

}  // namespace mono::websocket
