#include "ws_driver.hpp"

#include <cstdio>
#include <cstdlib>

#include "http1/framing.hpp"
#include "http1/head_parser.hpp"
#include "vector_file.hpp"

namespace mono::conformance {
namespace {

using websocket::WebSocket;
using websocket::WebSocketCause;

std::string_view cause_name(WebSocketCause cause) {
    switch (cause) {
        case WebSocketCause::kNone:
            return "none";
        case WebSocketCause::kClosed:
            return "closed";
        case WebSocketCause::kLost:
            return "lost";
        case WebSocketCause::kFault:
            return "fault";
        case WebSocketCause::kPingTimeout:
            return "ping-timeout";
        case WebSocketCause::kSendTimeout:
            return "send-timeout";
        case WebSocketCause::kCloseTimeout:
            return "close-timeout";
    }
    return "";
}

void require(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "a server must not send this: %s\n", what);
    std::abort();
}

std::string_view opcode_name(unsigned opcode) {
    switch (opcode) {
        case 1:
            return "text";
        case 2:
            return "binary";
        case 8:
            return "close";
        case 9:
            return "ping";
        case 10:
            return "pong";
        default:
            require(false, "an unknown opcode or a fragment");
            return "";
    }
}

std::string close_text(std::string_view payload) {
    if (payload.empty()) return {};
    require(payload.size() >= 2 && payload.size() <= 125, "a malformed close");
    const unsigned code =
        static_cast<uint8_t>(payload[0]) * 256U + static_cast<uint8_t>(payload[1]);
    require(websocket::is_close_code(static_cast<uint16_t>(code)), "this close code");
    return std::to_string(code);
}

}  // namespace

std::vector<std::string> read_server_frames(std::string_view bytes) {
    std::vector<std::string> lines;
    while (!bytes.empty()) {
        require(bytes.size() >= 2, "half a head");
        const unsigned first = static_cast<uint8_t>(bytes[0]);
        uint64_t length = static_cast<uint8_t>(bytes[1]);
        require((first & 0xB0) == 0x80, "no FIN, or reserved bits");
        require(length < 128, "a masked frame");
        const size_t extended = length == 126 ? 2 : length == 127 ? 8 : 0;
        require(bytes.size() >= 2 + extended, "half a head");
        if (extended != 0) length = 0;
        for (size_t at = 0; at < extended; ++at)
            length = length << 8 | static_cast<uint8_t>(bytes[2 + at]);
        bytes.remove_prefix(2 + extended);
        require(length <= bytes.size(), "half a payload");
        const std::string_view payload = bytes.substr(0, static_cast<size_t>(length));
        bytes.remove_prefix(payload.size());
        std::string line(opcode_name(first & 0xF));
        if ((first & 0x40) != 0) line += "/compressed";
        const std::string shown = line == "close" ? close_text(payload) : std::string(payload);
        if (!shown.empty()) line.append(" ").append(shown);
        lines.push_back(line);
        require(line.substr(0, 5) != "close" || bytes.empty(), "frames behind a close");
    }
    return lines;
}

std::string WsDriverRules::apply(const std::vector<std::pair<std::string, std::string>>& settings) {
    for (const auto& [key, value] : settings) {
        if (key == "websocket_max_message_size")
            limits.message_bytes_max = std::strtoull(value.c_str(), nullptr, 10);
        else if (key == "extensions")
            extensions = value;
        else
            return "unknown setting: " + key + " " + value;
    }
    return {};
}

WsDriver::WsDriver(const WsDriverRules& rules, bool handshake) : rules_(&rules) {
    if (!handshake) open(websocket::negotiate_deflate(rules.extensions, rules.limits.deflate));
}

void WsDriver::open(const std::optional<websocket::DeflateParams>& deflate) {
    socket_ = std::make_unique<WebSocket>(rules_->limits, deflate, out_, 0);
}

void WsDriver::feed(std::string_view piece) {
    if (refused_) return;
    if (socket_)
        read_frames(piece);
    else
        read_head(piece);
}

// Parses from the beginning each time: it is not the head's parser that is tried here.
void WsDriver::read_head(std::string_view piece) {
    head_.append(piece);
    const http1::HeadRules rules;
    http1::HeadParser parser(rules);
    http::RequestHead head;
    switch (parser.parse(head_.data(), static_cast<uint32_t>(head_.size()), head)) {
        case http1::ParseStatus::kNeedMore:
            return;
        case http1::ParseStatus::kFailed:
            refused_ = true;
            note("error", http::describe(parser.error()).rule);
            return;
        case http1::ParseStatus::kComplete:
            take_head(head);
    }
}

void WsDriver::take_head(http::RequestHead& head) {
    const http::FramingError framing = http1::apply_framing(head_.data(), head);
    websocket::Opening opening;
    websocket::Refusal refusal = websocket::Refusal::kNone;
    refused_ = true;
    if (framing.error != http::Error::kNone)
        return note("error", http::describe(framing.error).rule);
    if (!websocket::is_opening(head_.data(), head)) return note("plain", {});
    refusal = websocket::read_opening(head_.data(), head, rules_->limits.deflate, opening);
    if (refusal != websocket::Refusal::kNone) {
        const websocket::RefusalInfo& info = websocket::describe(refusal);
        return note("refuse", std::string(info.rule) + " " + std::to_string(info.status));
    }
    refused_ = false;
    note("open", websocket::accept_value(opening.key));
    for (const std::string_view subprotocol : opening.subprotocols)
        note("subprotocol", subprotocol);
    if (opening.deflate) note("extensions", websocket::write_deflate(*opening.deflate));
    open(opening.deflate);
    const std::string rest = head_.substr(head.length);
    if (!rest.empty()) read_frames(rest);
}

void WsDriver::read_frames(std::string_view piece) {
    // A block of its own: AddressSanitizer sees a read past the piece.
    const auto block = std::make_unique<char[]>(piece.size());
    piece.copy(block.get(), piece.size());
    size_t used = 0;
    while (true) {
        const WebSocket::Step step = socket_->next(block.get() + used, piece.size() - used, 0);
        used += step.consumed;
        require(used <= piece.size(), "more consumed than given");
        drain();
        switch (step.event) {
            case WebSocket::Event::kNeedMore:
                require(used == piece.size(), "needs more but has not used all");
                return;
            case WebSocket::Event::kMessage:
                note(step.text ? "text" : "binary", step.data);
                break;
            case WebSocket::Event::kFault:
                socket_->fail(0);
                drain();
                note_end();
                break;
            case WebSocket::Event::kEnded:
                note_end();
                break;
        }
    }
}

void WsDriver::finish() {
    if (!socket_) {
        if (!refused_) note("incomplete", {});
        return;
    }
    if (socket_->end_of_input()) note_end();
    drain();
}

void WsDriver::note_end() {
    const websocket::WebSocketEnd& end = socket_->end();
    std::string text(cause_name(end.cause));
    text += " " + std::to_string(end.code);
    if (end.fault != websocket::Fault::kNone)
        text.append(" ").append(websocket::describe(end.fault).rule);
    if (!end.reason.empty()) text += " " + end.reason;
    note("end", text);
}

void WsDriver::note(std::string_view key, std::string_view value) {
    std::string line(key);
    if (!value.empty()) line.append(" ").append(value);
    events_.push_back(escape(line));
}

void WsDriver::drain() {
    std::string bytes;
    while (!out_.empty()) {
        iovec vectors[8];
        const int count = out_.gather(vectors, 8);
        size_t size = 0;
        for (int at = 0; at < count; ++at) {
            bytes.append(static_cast<const char*>(vectors[at].iov_base), vectors[at].iov_len);
            size += vectors[at].iov_len;
        }
        out_.consume(size, released_);
    }
    for (const std::string& line : read_server_frames(bytes)) note("send", line);
    socket_->progressed(0);
}

}  // namespace mono::conformance
