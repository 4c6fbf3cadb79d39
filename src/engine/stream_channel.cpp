#include "engine/stream_channel.hpp"

#include <algorithm>
#include <charconv>

#include "engine/link.hpp"
#include "engine/multiplexer.hpp"
#include "engine/wire.hpp"
#include "http1/chunked.hpp"

namespace mono::engine {

using os::IoResult;
using os::IoStatus;

namespace {

constexpr std::string_view kLineEnd = "\r\n";
constexpr std::string_view kHeadEnd = "\r\n\r\n";
constexpr std::string_view kChunked = "Transfer-Encoding: chunked\r\n\r\n";
constexpr size_t kStatusAt = 9;  // behind "HTTP/1.1 "

}  // namespace

StreamChannel::~StreamChannel() {
    if (owner_ != nullptr) owner_->forget(id_);
}

void StreamChannel::begin(std::string_view head, const http2::RequestInfo& info) {
    websocket_ = !info.protocol.empty();
    chunked_ = !websocket_ && !info.end_stream && !info.has_content_length;
    if (!chunked_) return input_.append(head);
    input_.append(head.substr(0, head.size() - kLineEnd.size()));
    input_.append(kChunked);
}

void StreamChannel::append(std::string_view bytes) {
    unconsumed_ += bytes.size();
    if (!chunked_) return input_.append(bytes);
    if (bytes.empty()) return;
    char prefix[http1::kChunkPrefixMax];
    input_.append({prefix, http1::write_chunk_prefix(bytes.size(), prefix)});
    input_.append(bytes);
    input_.append(kLineEnd);
}

void StreamChannel::end(std::string_view trailers) {
    ended_ = true;
    if (!chunked_) return;
    input_.append("0\r\n");
    input_.append(trailers);
    input_.append(kLineEnd);
}

// The peer may send as much again as is taken here: flow control follows the application.
IoResult StreamChannel::receive(std::span<char> into) {
    if (reset_ || owner_ == nullptr) return {IoStatus::kBroken, 0};
    if (input_.empty()) return {websocket_ && ended_ ? IoStatus::kEof : IoStatus::kAgain, 0};
    const size_t count = input_.view().copy(into.data(), into.size());
    input_.take(count);
    // Chunk sizes and line ends are counted with the bytes; the last take settles the rest.
    const uint64_t consumed = input_.empty() ? unconsumed_ : std::min<uint64_t>(count, unconsumed_);
    unconsumed_ -= consumed;
    owner_->session().consumed(id_, consumed);
    return {IoStatus::kDone, count};
}

IoResult StreamChannel::send(const iovec* parts, int count) {
    if (reset_ || owner_ == nullptr) return {IoStatus::kBroken, 0};
    size_t total = 0;
    for (int i = 0; i < count; ++i) {
        const std::string_view part(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
        const size_t taken = take(part);
        total += taken;
        if (taken < part.size()) break;
    }
    owner_->push();
    return {total > 0 ? IoStatus::kDone : IoStatus::kAgain, total};
}

size_t StreamChannel::take(std::string_view bytes) {
    size_t taken = 0;
    while (!answering_ && taken < bytes.size()) taken += take_head(bytes.substr(taken));
    const std::string_view body = bytes.substr(taken);
    return body.empty() ? taken : taken + owner_->session().data(id_, body, false);
}

// Up to the end of a head; the rest of `bytes` may be another one's, or a body.
size_t StreamChannel::take_head(std::string_view bytes) {
    const size_t before = head_.size();
    head_.append(bytes);
    const size_t end = head_.find(kHeadEnd, before < 3 ? 0 : before - 3);
    if (end == std::string::npos) return bytes.size();
    head_.resize(end + kHeadEnd.size());
    const size_t taken = head_.size() - before;
    answer(head_);
    head_.clear();
    return taken;
}

void StreamChannel::answer(std::string_view head) {
    uint16_t status = 0;
    std::from_chars(head.data() + kStatusAt, head.data() + head.size(), status);
    const size_t line = head.find(kLineEnd) + kLineEnd.size();
    const std::string_view fields = head.substr(line, head.size() - line - kLineEnd.size());
    if (status < 200 && status != kSwitchingProtocols)
        return owner_->session().interim(id_, status, fields);
    answering_ = true;
    websocket_ = websocket_ && status == kSwitchingProtocols;
    const session::Exchange* exchange = link_->connection.exchange();
    const bool empty = !websocket_ && exchange != nullptr && exchange->response.exhausted() &&
                       exchange->response.body_bytes() == 0;
    owner_->session().respond(id_, status, fields, empty);
}

void StreamChannel::finish() {
    if (finished_ || reset_ || owner_ == nullptr) return;
    finished_ = true;
    [[maybe_unused]] const size_t none = owner_->session().data(id_, {}, true);
    owner_->push();
}

void StreamChannel::call_again() {
    if (owner_ != nullptr) owner_->remind(id_);
}

void StreamChannel::say_end() {
    if (finished_ || reset_ || owner_ == nullptr) return;
    if (websocket_ && answering_) return finish();
    finished_ = true;
    owner_->session().reset(id_, answering_ ? http2::Code::kInternalError : http2::Code::kCancel);
    owner_->push();
}

}  // namespace mono::engine
