#include "engine/multiplexer.hpp"

#include <memory>
#include <string>
#include <utility>

#include "engine/core.hpp"
#include "engine/stream_channel.hpp"

namespace mono::engine {

using session::Next;

namespace {

constexpr int kDrivenInARow = 64;  // streams; then other connections get their turn

}  // namespace

Multiplexer::Multiplexer(Core& core, Link& connection)
    : core_(core),
      connection_(connection),
      session_(core.options.opening.http2(core.options.http2, *this)) {
    progressed();
}

Multiplexer::~Multiplexer() {
    for (const auto& [id, stream] : streams_) stream->lose_owner();
}

StreamChannel* Multiplexer::find(uint32_t stream) const {
    const auto found = streams_.find(stream);
    return found == streams_.end() ? nullptr : found->second;
}

Next Multiplexer::feed(std::string_view bytes) {
    session_->feed(bytes, core_.now.ms);
    progressed();
    return settle();
}

Next Multiplexer::settle() {
    for (int i = 0; i < kDrivenInARow && !news_.empty(); ++i) {
        StreamChannel* stream = find(news_.front());
        news_.pop_front();
        if (stream == nullptr) continue;
        Link& link = stream->link();
        if (stream->is_reset()) {
            core_.links.close(link);
            continue;
        }
        link.readable = true;
        link.blocked = false;
        core_.loop.drive(link, Next::kRead);
    }
    if (!flush()) return Next::kClose;
    if (session_->fault() != http2::Fault::kNone) say_fault();
    return Next::kRead;
}

bool Multiplexer::flush() {
    while (!broken_ && !connection_.blocked) {
        const std::string_view output = session_->output();
        if (output.empty()) break;
        const os::IoResult sent = connection_.transport.send(output.data(), output.size());
        if (sent.status == os::IoStatus::kAgain) {
            connection_.blocked = true;
        } else if (sent.status != os::IoStatus::kDone) {
            broken_ = true;
        } else {
            session_->sent(sent.bytes);
            progressed();
        }
    }
    return !broken_;
}

// Inside a stream's own call: whatever else there is to do waits for the connection's turn.
void Multiplexer::push() {
    if (!flush() || over() || !news_.empty()) call_for_turn();
}

void Multiplexer::call_for_turn() {
    if (connection_.polled) [[maybe_unused]]
        const bool told = core_.poller.remind(connection_.transport.fd(), connection_.key);
}

// While streams are open it is their deadlines that count; what is blocked has its own.
void Multiplexer::progressed() {
    const session::Limits& limits = core_.options.limits;
    const int64_t span_ms = streams_.empty() ? limits.keepalive_ms_max : limits.send_ms_max;
    const bool waits = streams_.empty() || connection_.blocked;
    deadline_ms_ = waits && span_ms > 0 ? core_.now.ms + span_ms : session::Connection::kNever;
}

void Multiplexer::expire() {
    session_->end_drain();
    if (streams_.empty() && flush())
        core_.loop.drive(connection_, Next::kRead);
    else
        core_.links.close(connection_);
}

void Multiplexer::drain() {
    if (std::exchange(draining_, true))
        session_->end_drain();
    else
        session_->begin_drain();
    push();
}

void Multiplexer::close_streams() {
    broken_ = true;
    while (!streams_.empty()) core_.links.close(streams_.begin()->second->link());
}

void Multiplexer::note(uint32_t stream) {
    if (news_.empty() || news_.back() != stream) news_.push_back(stream);
}

void Multiplexer::remind(uint32_t stream) {
    note(stream);
    call_for_turn();
}

void Multiplexer::forget(uint32_t stream) {
    streams_.erase(stream);
    if (!streams_.empty()) return;
    progressed();
    core_.loop.rearm(connection_);
    if (draining_) call_for_turn();
}

void Multiplexer::on_request(uint32_t stream, std::string_view head,
                             const http2::RequestInfo& info) {
    auto made = std::make_unique<StreamChannel>(*this, stream);
    StreamChannel& channel = *made;
    channel.begin(head, info);
    channel.attach(core_.links.admit_stream(std::move(made), connection_));
    streams_.emplace(stream, &channel);
    note(stream);
}

void Multiplexer::on_data(uint32_t stream, std::string_view bytes) {
    StreamChannel* channel = find(stream);
    if (channel == nullptr) return session_->consumed(stream, bytes.size());
    channel->append(bytes);
    note(stream);
}

void Multiplexer::on_end(uint32_t stream, std::string_view trailers) {
    StreamChannel* channel = find(stream);
    if (channel == nullptr) return;
    channel->end(trailers);
    note(stream);
}

void Multiplexer::on_reset(uint32_t stream, http2::Code) {
    StreamChannel* channel = find(stream);
    if (channel == nullptr) return;
    channel->reset();
    note(stream);
}

void Multiplexer::on_room(uint32_t stream) { note(stream); }

void Multiplexer::on_refused(uint32_t, uint16_t status, std::string_view why) {
    core_.recorder.refuse_unread();
    core_.notices.say(
        Severity::kWarning,
        "Invalid request from ip=" + std::string(connection_.connection.peer().shown()) + ": " +
            std::string(why) + " [HTTP/2, " +
            (status == 0 ? "reset" : "answered " + std::to_string(status)) + "]");
}

void Multiplexer::say_fault() {
    if (std::exchange(fault_said_, true)) return;
    core_.notices.say(Severity::kWarning, "An HTTP/2 connection from ip=" +
                                              std::string(connection_.connection.peer().shown()) +
                                              " was ended: " + session_->fault_text());
}

}  // namespace mono::engine
