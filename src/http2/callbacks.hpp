// Callbacks: what nghttp2 calls while it reads (receive.cpp) and writes (transmit.cpp). Private to
// http2, and beside session.cpp the only place that knows nghttp2.
#pragma once

#include <nghttp2/nghttp2.h>

#include <span>
#include <string_view>
#include <vector>

#include "http2/session.hpp"

namespace mono::http2 {

struct Session::Callbacks {
    static Session& of(void* user_data) { return *static_cast<Session*>(user_data); }
    static uint32_t id_of(const nghttp2_frame* frame) {
        return static_cast<uint32_t>(frame->hd.stream_id);
    }
    static std::string_view text(const uint8_t* bytes, size_t size) {
        return {reinterpret_cast<const char*>(bytes), size};
    }
    static void install_receiving(nghttp2_session_callbacks* callbacks);
    static void install_sending(nghttp2_session_callbacks* callbacks);

    // Receiving. Each returns 0, or what makes nghttp2 stop reading.
    static int begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user_data);
    static int header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name,
                      size_t name_size, const uint8_t* value, size_t value_size, uint8_t flags,
                      void* user_data);
    static int invalid_header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name,
                              size_t name_size, const uint8_t* value, size_t value_size,
                              uint8_t flags, void* user_data);
    static int frame_received(nghttp2_session*, const nghttp2_frame* frame, void* user_data);
    static int invalid_frame(nghttp2_session*, const nghttp2_frame* frame, int error,
                             void* user_data);
    static int data_received(nghttp2_session*, uint8_t flags, int32_t stream, const uint8_t* bytes,
                             size_t size, void* user_data);
    static int stream_closed(nghttp2_session*, int32_t stream, uint32_t code, void* user_data);
    static int complaint(nghttp2_session*, int code, const char* message, size_t size,
                         void* user_data);

    static int stop(Session& session, Fault fault);
    static void request_complete(Session& session, Stream& stream, bool end_stream);
    static void end_of_request(Session& session, Stream& stream);

    // Sending
    static int frame_sent(nghttp2_session*, const nghttp2_frame* frame, void* user_data);
    static int frame_not_sent(nghttp2_session*, const nghttp2_frame* frame, int error,
                              void* user_data);
    static ssize_t read_data(nghttp2_session*, int32_t id, uint8_t* buffer, size_t size,
                             uint32_t* flags, nghttp2_data_source* source, void* user_data);
    static int send_data(nghttp2_session*, nghttp2_frame* frame, const uint8_t* head, size_t size,
                         nghttp2_data_source* source, void* user_data);
    static void reset_made(Session& session, uint32_t id, uint32_t code);
    static void goaway_made(Session& session, const nghttp2_goaway& goaway);
    static void end_made(Session& session, uint32_t id);
    static void submit_trailers(Session& session, Stream& stream);
};

// Name and value pairs as nghttp2 takes them; it copies them.
std::vector<nghttp2_nv> pairs_of(std::span<const FieldView> fields, std::string_view status);

}  // namespace mono::http2
