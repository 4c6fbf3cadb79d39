#include <algorithm>

#include "http2/callbacks.hpp"
#include "http2/stream.hpp"

namespace mono::http2 {

void Session::Callbacks::install_sending(nghttp2_session_callbacks* callbacks) {
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, frame_sent);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, frame_not_sent);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, send_data);
}

// The frame is in output_, and nothing behind it.
int Session::Callbacks::frame_sent(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
    Session& session = of(user_data);
    switch (frame->hd.type) {
        case NGHTTP2_DATA:
            session.guard_.data_sent();
            break;
        case NGHTTP2_HEADERS:
            break;
        case NGHTTP2_RST_STREAM:
            reset_made(session, id_of(frame), frame->rst_stream.error_code);
            return 0;
        case NGHTTP2_GOAWAY:
            goaway_made(session, frame->goaway);
            return 0;
        default:
            return 0;
    }
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) end_made(session, id_of(frame));
    return 0;
}

// A peer may have streams reset by its own errors instead of by RST_STREAM (CVE-2025-8671).
void Session::Callbacks::reset_made(Session& session, uint32_t id, uint32_t code) {
    const Stream* const stream = session.find(id);
    const bool ours = stream != nullptr && stream->given_up;
    if (ours || code == NGHTTP2_NO_ERROR) return;
    if (!session.guard_.permits(Fault::kResetFlood)) session.fail(Fault::kResetFlood, {});
}

void Session::Callbacks::goaway_made(Session& session, const nghttp2_goaway& goaway) {
    if (goaway.error_code == NGHTTP2_NO_ERROR) return;
    session.last_frame_made_ = true;
    session.code_ = static_cast<Code>(goaway.error_code);
    if (session.fault_ != Fault::kNone) return;
    session.fault_ = Fault::kProtocol;  // nghttp2's own verdict
    const std::string_view why = text(goaway.opaque_data, goaway.opaque_data_len);
    if (!why.empty()) session.detail_ = why;
}

void Session::Callbacks::end_made(Session& session, uint32_t id) {
    Stream* const stream = session.find(id);
    if (stream == nullptr) return;
    stream->ended = true;
    if (stream->told) session.marks_.push_back({session.made_, id});
    // RFC 9113 section 8.1: the rest of the request is of no use.
    if (!stream->remote_ended)
        nghttp2_submit_rst_stream(session.codec_, NGHTTP2_FLAG_NONE, static_cast<int32_t>(id),
                                  NGHTTP2_NO_ERROR);
}

// A response that could not be made (a head beyond what nghttp2 compresses at once): the peer must
// not wait for it.
int Session::Callbacks::frame_not_sent(nghttp2_session* codec, const nghttp2_frame* frame,
                                       int error, void*) {
    if (frame->hd.type == NGHTTP2_HEADERS && error == NGHTTP2_ERR_FRAME_SIZE_ERROR)
        nghttp2_submit_rst_stream(codec, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                  NGHTTP2_INTERNAL_ERROR);
    return 0;
}

// nghttp2 has a window and a turn for this stream. Without anything to send, that is news.
ssize_t Session::Callbacks::read_data(nghttp2_session*, int32_t, uint8_t*, size_t size,
                                      uint32_t* flags, nghttp2_data_source* source,
                                      void* user_data) {
    Session& session = of(user_data);
    Stream& stream = *static_cast<Stream*>(source->ptr);
    const size_t taken = std::min(size, stream.pending.size());
    const bool all = taken == stream.pending.size();
    const bool complete = stream.left.has_value() && *stream.left == taken && taken != 0;
    if (taken == 0 && !stream.ending) {
        if (stream.blocked) {
            stream.blocked = false;
            session.notices_.push_back({NoticeKind::kRoom, stream.id, Code::kNoError});
        }
        return NGHTTP2_ERR_DEFERRED;
    }
    *flags = NGHTTP2_DATA_FLAG_NO_COPY;
    if ((stream.ending && all) || complete) *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (stream.ending && all && stream.with_trailers) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        submit_trailers(session, stream);
    }
    return static_cast<ssize_t>(taken);
}

void Session::Callbacks::submit_trailers(Session& session, Stream& stream) {
    session.fields_.read(stream.response_trailers);
    const std::vector<nghttp2_nv> pairs = pairs_of(session.fields_.list(), {});
    nghttp2_submit_trailer(session.codec_, static_cast<int32_t>(stream.id), pairs.data(),
                           pairs.size());
}

int Session::Callbacks::send_data(nghttp2_session*, nghttp2_frame*, const uint8_t* head,
                                  size_t size, nghttp2_data_source* source, void* user_data) {
    constexpr size_t kFrameHeadBytes = 9;
    Session& session = of(user_data);
    Stream& stream = *static_cast<Stream*>(source->ptr);
    session.append(text(head, kFrameHeadBytes));
    session.append(stream.pending.substr(0, size));
    stream.pending.remove_prefix(size);
    if (stream.left.has_value()) *stream.left -= std::min<uint64_t>(*stream.left, size);
    // The frame is made; nghttp2 would go on to the next one by itself.
    return session.output_.size() < session.limits_.output_bytes_max ? 0 : NGHTTP2_ERR_PAUSE;
}

}  // namespace mono::http2
