#include "http2/last_words.hpp"

#include <algorithm>

namespace mono::http2 {
namespace {

constexpr uint8_t kData = 0x0;
constexpr uint8_t kHeaders = 0x1;
constexpr uint8_t kEndStream = 0x1;
constexpr uint8_t kEndHeaders = 0x4;
constexpr size_t kBodyBytesMax = 256;

// Names by their index in HPACK's static table, in four bits and more where they need it.
constexpr std::string_view kStatus(
    "\x08\x03"
    "502",
    5);
constexpr std::string_view kContentType(
    "\x0F\x10\x09"
    "text/html",
    12);                                                       // 31
constexpr std::string_view kContentLength("\x0F\x0D\x03", 3);  // 28, three digits

class Writer {
  public:
    explicit Writer(char* out) : begin_(out), at_(out) {}
    void byte(size_t value) { *at_++ = static_cast<char>(value & 0xFF); }
    void text(std::string_view bytes) {
        for (const char value : bytes) *at_++ = value;
    }
    void frame(size_t length, uint8_t type, uint8_t flags, uint32_t stream) {
        byte(length >> 16);
        byte(length >> 8);
        byte(length);
        byte(type);
        byte(flags);
        for (int shift = 24; shift >= 0; shift -= 8) byte(stream >> shift);
    }
    char* at() { return at_; }
    size_t written() const { return static_cast<size_t>(at_ - begin_); }

  private:
    char* begin_;
    char* at_;
};

}  // namespace

size_t write_last_words(uint32_t stream, std::string_view body, char* out) {
    body = body.substr(0, std::min(body.size(), kBodyBytesMax));
    const bool whole = body.empty();
    const size_t length = whole ? 0 : kContentLength.size() + 3;
    const size_t block = kStatus.size() + kContentType.size() + length;
    Writer writer(out);
    const auto end = static_cast<uint8_t>(kEndHeaders | (whole ? kEndStream : 0));
    writer.frame(block, kHeaders, end, stream);
    writer.text(kStatus);
    writer.text(kContentType);
    if (whole) return writer.written();
    writer.text(kContentLength);
    for (size_t unit = 100; unit > 0; unit /= 10) writer.byte('0' + body.size() / unit % 10);
    writer.frame(body.size(), kData, kEndStream, stream);
    writer.text(body);
    return writer.written();
}

}  // namespace mono::http2
