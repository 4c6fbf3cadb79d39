#include "ws_frames.hpp"

#include <algorithm>
#include <cstdlib>
#include <optional>

#include "base/buffer.hpp"
#include "vector_file.hpp"
#include "websocket/deflate.hpp"

namespace mono::conformance {
namespace {

constexpr uint8_t kFin = 0x80;
constexpr uint8_t kRsv1 = 0x40;

int opcode_of(std::string_view name) {
    constexpr std::string_view kNames[] = {"continuation", "text", "binary"};
    for (int opcode = 0; opcode < 3; ++opcode)
        if (name == kNames[opcode]) return opcode;
    if (name == "close") return 8;
    if (name == "ping") return 9;
    if (name == "pong") return 10;
    if (name.starts_with("opcode")) return std::atoi(std::string(name.substr(6)).c_str());
    return -1;
}

// One line while it is read.
struct Line {
    ClientFrame frame;
    std::string payload;
    bool deflate = false;
};

bool take_flag(std::string_view flag, Line& line) {
    const size_t equals = std::min(flag.find('='), flag.size());
    const std::string name(flag.substr(0, equals));
    const std::string value(flag.substr(std::min(equals + 1, flag.size())));
    if (name == "more")
        line.frame.first &= static_cast<uint8_t>(~kFin);
    else if (name == "rsv1" || name == "rsv2" || name == "rsv3")
        line.frame.first |= static_cast<uint8_t>(kFin >> (name[3] - '0'));
    else if (name == "unmasked")
        line.frame.masked = false;
    else if (name == "length16")
        line.frame.length_bytes = 2;
    else if (name == "length64")
        line.frame.length_bytes = 8;
    else if (name == "length")
        line.frame.length = std::strtoull(value.c_str(), nullptr, 0);
    else if (name == "key")
        line.frame.key = static_cast<uint32_t>(std::strtoul(value.c_str(), nullptr, 16));
    else if (name == "deflate")
        line.deflate = true;
    else if (name == "code") {
        const unsigned long code = std::strtoul(value.c_str(), nullptr, 10);
        line.payload.insert(0, {static_cast<char>(code >> 8), static_cast<char>(code)});
    } else
        return false;
    return true;
}

class Encoder {
  public:
    bool encode(std::string_view text, std::string& out) {
        const size_t space = std::min(text.find(' '), text.size());
        std::string_view head = text.substr(0, space);
        Line line;
        if (!unescape(text.substr(std::min(space + 1, text.size())), line.payload)) return false;
        if (head == "bytes") {
            out += line.payload;
            return true;
        }
        const int opcode = opcode_of(head.substr(0, head.find('/')));
        if (opcode < 0 || opcode > 15) return false;
        line.frame.first = static_cast<uint8_t>(kFin | opcode);
        while (head.find('/') != std::string_view::npos) {
            head.remove_prefix(head.find('/') + 1);
            if (!take_flag(head.substr(0, head.find('/')), line)) return false;
        }
        if (line.deflate) compress(line);
        append_frame(line.frame, line.payload, out);
        return true;
    }

  private:
    // One context for all the frames of a case, as a client has it.
    void compress(Line& line) {
        if (!deflater_) deflater_.emplace(websocket::DeflateParams(), websocket::DeflateRules());
        base::Buffer packed;
        deflater_->compress(line.payload, packed);
        line.payload = packed.view();
        line.frame.first |= kRsv1;
    }

    std::optional<websocket::Deflater> deflater_;
};

}  // namespace

void append_frame(const ClientFrame& frame, std::string_view payload, std::string& out) {
    const uint64_t length = frame.length == UINT64_MAX ? payload.size() : frame.length;
    const int shortest = length < 126 ? 0 : length <= 0xFFFF ? 2 : 8;
    const int bytes = frame.length_bytes < 0 ? shortest : frame.length_bytes;
    out += static_cast<char>(frame.first);
    const uint64_t second = bytes == 0 ? length : bytes == 2 ? 126 : 127;
    out += static_cast<char>((frame.masked ? 0x80 : 0) | second);
    for (int at = bytes - 1; at >= 0; --at) out += static_cast<char>(length >> (8 * at));
    char key[4] = {};
    for (int at = 0; at < 4; ++at)
        key[at] = static_cast<char>(frame.masked ? frame.key >> (24 - 8 * at) : 0);
    if (frame.masked) out.append(key, sizeof(key));
    for (size_t at = 0; at < payload.size(); ++at)
        out += static_cast<char>(payload[at] ^ key[at % 4]);
}

std::string encode_frames(const std::vector<std::string>& lines, std::string& out) {
    Encoder encoder;
    for (const std::string& line : lines)
        if (!line.empty() && !encoder.encode(line, out)) return "not a frame: " + line;
    return {};
}

}  // namespace mono::conformance
