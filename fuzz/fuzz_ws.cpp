// A WebSocket connection: the opening handshake where the input begins with "GET ", and frames.
// The same transcript for every split; messages keep their promises, and are the same when a
// client writes them again in other fragments; whatever is called when, the session sends only
// what a server may send, and ends once.
#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "fuzz.hpp"
#include "vector_file.hpp"
#include "ws_driver.hpp"
#include "ws_frames.hpp"

namespace mono::fuzz {
namespace {

using websocket::WebSocket;

constexpr size_t kInputBytesMax = 16 * 1024;

conformance::WsDriverRules rules_from(Random& random) {
    conformance::WsDriverRules rules;
    rules.limits.message_bytes_max = random.one_in(3) ? random.below(200) : 1 << 16;
    if (random.one_in(3)) return rules;
    rules.extensions = "permessage-deflate";
    if (random.one_in(4)) rules.extensions += "; client_max_window_bits=9";
    rules.limits.deflate.client_no_context_takeover = random.one_in(4);
    rules.limits.deflate.message_bytes_min = random.below(64);
    return rules;
}

using Lines = std::vector<std::string>;

Lines transcript(const conformance::WsDriverRules& rules, std::string_view input) {
    conformance::WsDriver driver(rules, input.starts_with("GET "));
    driver.feed(input);
    driver.finish();
    return driver.events();
}

void same_for_every_split(std::string_view input, const conformance::WsDriverRules& rules,
                          const Lines& whole, Random& random) {
    for (int round = 0; round < 3; ++round) {
        conformance::WsDriver pieces(rules, input.starts_with("GET "));
        in_pieces(input, random, [&pieces](std::string_view piece) { pieces.feed(piece); });
        pieces.finish();
        require(pieces.events() == whole, "the transcript depends on the split");
    }
}

// The plainest check there is, to compare with: decodes each character.
bool is_utf8_plainly(std::string_view text) {
    for (size_t at = 0; at < text.size();) {
        const auto byte = [&](size_t more) { return static_cast<uint8_t>(text[at + more]); };
        size_t size = 1;
        if (byte(0) >= 0xF0)
            size = 4;
        else if (byte(0) >= 0xE0)
            size = 3;
        else if (byte(0) >= 0x80)
            size = 2;
        if (byte(0) >= 0xF8 || (byte(0) >= 0x80 && byte(0) < 0xC0)) return false;
        if (text.size() - at < size) return false;
        uint32_t code = size == 1 ? byte(0) : byte(0) & (0x7FU >> size);
        for (size_t more = 1; more < size; ++more) {
            if ((byte(more) & 0xC0) != 0x80) return false;
            code = code << 6 | (byte(more) & 0x3FU);
        }
        constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
        if (code < kSmallest[size] || code > 0x10FFFF || (code >> 11) == 0x1B) return false;
        at += size;
    }
    return true;
}

struct Message {
    bool text = false;
    std::string payload;
};

std::vector<Message> messages_of(const Lines& lines, uint64_t bytes_max) {
    std::vector<Message> messages;
    for (const std::string& line : lines) {
        const std::string_view name = std::string_view(line).substr(0, line.find(' '));
        if (name != "text" && name != "binary") continue;
        Message message;
        message.text = name == "text";
        const std::string_view shown = std::string_view(line).substr(name.size());
        require(
            conformance::unescape(shown.substr(std::min<size_t>(1, shown.size())), message.payload),
            "an unreadable transcript");
        require(bytes_max == 0 || message.payload.size() <= bytes_max, "a message is too big");
        require(!message.text || is_utf8_plainly(message.payload), "a text is not UTF-8");
        messages.push_back(std::move(message));
    }
    return messages;
}

// As another client might send it: other keys, other fragments, compressed or not, with pings.
std::string write_again(const std::vector<Message>& messages, bool deflate, Random& random) {
    std::string out;
    std::optional<websocket::Deflater> deflater;  // made late: zlib fills large tables
    for (const Message& message : messages) {
        std::string payload = message.payload;
        conformance::ClientFrame frame;
        uint8_t opcode = message.text ? 1 : 2;
        if (deflate && random.one_in(2)) {
            if (!deflater) deflater.emplace(websocket::DeflateParams(), websocket::DeflateRules());
            base::Buffer packed;
            deflater->compress(message.payload, packed);
            payload = packed.view();
            opcode |= 0x40;
        }
        std::string_view rest = payload;
        bool last = false;
        while (!last) {
            const size_t size = random.one_in(2) ? rest.size() : random.below(100);
            const std::string_view piece = rest.substr(0, size);
            rest.remove_prefix(piece.size());
            last = rest.empty();
            frame.key = static_cast<uint32_t>(random.next());
            frame.first = static_cast<uint8_t>(opcode | (last ? 0x80 : 0));
            append_frame(frame, piece, out);
            opcode = 0;
            frame.first = 0x8A;
            if (random.one_in(4)) append_frame(frame, "pong", out);
        }
    }
    return out;
}

void reads_what_was_written_again(const Lines& lines, const conformance::WsDriverRules& rules,
                                  Random& random) {
    const std::vector<Message> messages = messages_of(lines, rules.limits.message_bytes_max);
    conformance::WsDriverRules other = rules;
    other.limits.deflate.client_no_context_takeover = false;
    other.extensions = random.one_in(2) ? "permessage-deflate" : "";
    const std::string again = write_again(messages, !other.extensions.empty(), random);
    conformance::WsDriver driver(other, false);
    in_pieces(again, random, [&driver](std::string_view piece) { driver.feed(piece); });
    driver.finish();
    Lines wanted;
    for (const std::string& line : lines)
        if (line.starts_with("text") || line.starts_with("binary")) wanted.push_back(line);
    wanted.emplace_back("end lost 1006");
    require(driver.events() == wanted, "other messages when they are written again");
}

// Everything that an engine may call, in any order and at any time.
class Life {
  public:
    Life(const conformance::WsDriverRules& rules, Random& random)
        : random_(random),
          socket_(rules.limits,
                  websocket::negotiate_deflate(rules.extensions, rules.limits.deflate), out_, 0) {}

    void feed(std::string_view piece) {
        call_something();
        const auto block = std::make_unique<char[]>(piece.size());
        piece.copy(block.get(), piece.size());
        size_t used = 0;
        while (socket_.wants_bytes()) {
            const WebSocket::Step step =
                socket_.next(block.get() + used, piece.size() - used, now_ms_);
            used += step.consumed;
            if (step.event == WebSocket::Event::kNeedMore) break;
            if (step.event == WebSocket::Event::kEnded) end();
            if (step.event == WebSocket::Event::kMessage) {
                require(!ended_, "a message behind the end");
                send(step.data, step.text);
            }
        }
    }
    void finish() {
        if (socket_.end_of_input()) end();
        while (!out_.empty()) flush();
        // Whoever has closed may wait for its deadline; then it is over.
        require(socket_.phase() == WebSocket::Phase::kClosed, "not closed at the end");
        require(ended_, "closed without an end");
        conformance::read_server_frames(sent_);
    }

  private:
    void call_something() {
        now_ms_ += random_.below(4) == 0 ? random_.below(30'000) : 0;
        switch (random_.below(8)) {
            case 0:
                if (socket_.expire(now_ms_)) end();
                break;
            case 1:
                socket_.close(static_cast<uint16_t>(random_.below(5'100)), "bye", now_ms_);
                break;
            case 2:
                socket_.pause(random_.one_in(2), now_ms_);
                break;
            case 3:
                if (socket_.fail(now_ms_)) end();
                break;
            case 4:
                send(std::string(random_.below(300), 'x'), random_.one_in(2));
                break;
            default:
                flush();
                break;
        }
    }
    void send(std::string_view data, bool text) {
        const bool open = socket_.phase() == WebSocket::Phase::kOpen ||
                          socket_.phase() == WebSocket::Phase::kFaulty;
        const WebSocket::Sent sent = socket_.send(data, text, nullptr, now_ms_);
        require((sent == WebSocket::Sent::kCopied) == open, "sent in a wrong phase");
    }
    void flush() {
        iovec vectors[4];
        const int count = out_.gather(vectors, 4);
        size_t size = 0;
        for (int at = 0; at < count; ++at) {
            sent_.append(static_cast<const char*>(vectors[at].iov_base), vectors[at].iov_len);
            size += vectors[at].iov_len;
        }
        if (size == 0) return;
        out_.consume(size, released_);
        socket_.progressed(now_ms_);
    }
    void end() {
        require(!ended_, "ended twice");
        ended_ = true;
        require(socket_.end().cause != websocket::WebSocketCause::kNone, "an end without a cause");
        require(is_utf8_plainly(socket_.end().reason), "a reason is not UTF-8");
    }

    Random& random_;
    base::Chain out_;
    WebSocket socket_;
    std::vector<base::Released> released_;
    std::string sent_;
    int64_t now_ms_ = 0;
    bool ended_ = false;
};

}  // namespace
}  // namespace mono::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace mono::fuzz;
    if (size > kInputBytesMax) return 0;
    const std::string_view input = as_text(data, size);
    Random random(input);
    const mono::conformance::WsDriverRules rules = rules_from(random);
    const Lines whole = transcript(rules, input);
    same_for_every_split(input, rules, whole, random);
    reads_what_was_written_again(whole, rules, random);
    Life life(rules, random);
    in_pieces(input, random, [&life](std::string_view piece) { life.feed(piece); });
    life.finish();
    return 0;
}
