#include "http2/callbacks.hpp"
#include "http2/stream.hpp"

namespace mono::http2 {
namespace {

// A list this many times larger than permitted is no mistake: the connection ends. Until then it
// must be decoded, since later lists depend on its table.
constexpr size_t kBombFactor = 8;
constexpr uint32_t kHeaderListBytesAnyway = 1024 * 1024;

size_t list_bytes_max(const Limits& limits) {
    return limits.header_list_bytes_max != 0 ? limits.header_list_bytes_max
                                             : kHeaderListBytesAnyway;
}

}  // namespace

void Session::Callbacks::install_receiving(nghttp2_session_callbacks* callbacks) {
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, frame_received);
    nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks, invalid_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, data_received);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, stream_closed);
    nghttp2_session_callbacks_set_error_callback2(callbacks, complaint);
}

int Session::Callbacks::stop(Session& session, Fault fault) {
    session.fail(fault, {});
    return NGHTTP2_ERR_CALLBACK_FAILURE;
}

int Session::Callbacks::begin_headers(nghttp2_session*, const nghttp2_frame* frame,
                                      void* user_data) {
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) of(user_data).open(id_of(frame));
    return 0;
}

int Session::Callbacks::header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name,
                               size_t name_size, const uint8_t* value, size_t value_size, uint8_t,
                               void* user_data) {
    Session& session = of(user_data);
    Stream* const stream = session.find(id_of(frame));
    if (stream == nullptr) return 0;
    const size_t most = list_bytes_max(session.limits_);
    RequestText& request = stream->request;
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST) {
        request.add(text(name, name_size), text(value, value_size), most);
        if (request.list_bytes() > most * kBombFactor) return stop(session, Fault::kHeaderBomb);
        return 0;
    }
    request.count(text(name, name_size), text(value, value_size));
    if (request.list_bytes() > most * kBombFactor) return stop(session, Fault::kHeaderBomb);
    if (request.list_bytes() <= most)
        add_trailer(stream->request_trailers, text(name, name_size), text(value, value_size));
    else
        session.reset_for(*stream, Code::kEnhanceYourCalm);
    return 0;
}

// Else nghttp2 would drop the field and go on.
int Session::Callbacks::invalid_header(nghttp2_session*, const nghttp2_frame*, const uint8_t*,
                                       size_t, const uint8_t*, size_t, uint8_t, void*) {
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

int Session::Callbacks::frame_received(nghttp2_session*, const nghttp2_frame* frame,
                                       void* user_data) {
    Session& session = of(user_data);
    const bool ack = (frame->hd.flags & NGHTTP2_FLAG_ACK) != 0;
    if (frame->hd.type == NGHTTP2_PING && ack && session.drain_ == Drain::kBegun)
        session.end_drain();
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
    Stream* const stream = session.find(id_of(frame));
    if (stream == nullptr) return 0;
    const bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
    stream->remote_ended |= end;
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        request_complete(session, *stream, end);
    if (end) end_of_request(session, *stream);
    return 0;
}

void Session::Callbacks::request_complete(Session& session, Stream& stream, bool end_stream) {
    stream.request.finish();
    stream.head_method = stream.request.head_method();
    stream.websocket = stream.request.websocket();
    switch (stream.request.verdict()) {
        case RequestText::Verdict::kGood:
            stream.told = true;
            session.events_.on_request(stream.id, stream.request.text(),
                                       stream.request.info(end_stream));
            return;
        case RequestText::Verdict::kMalformed:
            return session.answer(stream, 0, "The fields are not those of a request.");
        case RequestText::Verdict::kTooLarge:
            return session.answer(stream, 431, "The header list is larger than permitted.");
        case RequestText::Verdict::kUnknown:
            return session.answer(stream, 501, "CONNECT asks for a protocol other than websocket.");
    }
}

void Session::Callbacks::end_of_request(Session& session, Stream& stream) {
    if (stream.told && !stream.given_up) session.events_.on_end(stream.id, stream.request_trailers);
}

// A stream's fault; what is the connection's ends in a GOAWAY, of which frame_sent hears.
int Session::Callbacks::invalid_frame(nghttp2_session*, const nghttp2_frame* frame, int error,
                                      void* user_data) {
    Session& session = of(user_data);
    const uint32_t id = id_of(frame);
    Stream* const stream = session.find(id);
    if (frame->hd.type != NGHTTP2_HEADERS || (stream != nullptr && stream->told)) return 0;
    if (stream != nullptr) stream->refused = true;
    const std::string_view why = session.detail_;
    session.events_.on_refused(id, 0, why.empty() ? nghttp2_strerror(error) : why);
    session.detail_.clear();
    return 0;
}

int Session::Callbacks::data_received(nghttp2_session* codec, uint8_t, int32_t id,
                                      const uint8_t* bytes, size_t size, void* user_data) {
    Session& session = of(user_data);
    Stream* const stream = session.find(static_cast<uint32_t>(id));
    if (stream == nullptr || !stream->told || stream->given_up) {
        nghttp2_session_consume(codec, id, size);
        return 0;
    }
    stream->unconsumed += size;
    session.events_.on_data(stream->id, text(bytes, size));
    return 0;
}

int Session::Callbacks::stream_closed(nghttp2_session*, int32_t id, uint32_t code,
                                      void* user_data) {
    of(user_data).close(static_cast<uint32_t>(id), static_cast<Code>(code));
    return 0;
}

int Session::Callbacks::complaint(nghttp2_session*, int, const char* message, size_t size,
                                  void* user_data) {
    Session& session = of(user_data);
    if (session.fault_ == Fault::kNone) session.detail_.assign(message, size);
    return 0;
}

}  // namespace mono::http2
