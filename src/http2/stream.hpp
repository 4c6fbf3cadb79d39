// Stream: what a Session remembers of one stream, from its HEADERS until nghttp2 closes it.
// Private to http2; owned by Session, reused.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http2/request_text.hpp"

namespace mono::http2 {

struct Stream {
    uint32_t id = 0;
    RequestText request;
    std::string request_trailers;
    std::string response_trailers;  // lines, until they are sent
    std::string_view pending;       // during data() only
    uint64_t unconsumed = 0;        // bytes of on_data without consumed()
    std::optional<uint64_t> left;   // of a response whose length is known
    bool told = false;              // the owner knows of it
    bool refused = false;           // it is no request; its fields are skipped
    bool websocket = false;
    bool head_method = false;
    bool remote_ended = false;
    bool responded = false;
    bool ending = false;         // the owner gave the end of the response
    bool with_trailers = false;  // ... by trailers()
    bool ended = false;          // END_STREAM was made
    bool blocked = false;        // data() took less than it was given
    bool given_up = false;       // by reset()

    void clear() {
        request.clear();
        request_trailers.clear();
        response_trailers.clear();
        pending = {};
        left.reset();
        unconsumed = 0;
        told = refused = websocket = head_method = remote_ended = responded = false;
        ending = with_trailers = ended = blocked = given_up = false;
    }
};

}  // namespace mono::http2
