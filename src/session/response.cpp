#include "session/response.hpp"

namespace mono::session {

void Response::clear() {
    head.clear();
    left_ = body_bytes_ = added_length_ = 0;
    framing_ = Framing::kNone;
    begun_ = keep_alive_ = no_body_ = add_length_ = dropped_ = ended_ = given_away_ = false;
}

void Response::give_away() {
    framing_ = Framing::kNone;
    begun_ = no_body_ = given_away_ = true;
    keep_alive_ = false;
}

void Response::begin(const http::RequestHead& request, const ResponseContext& context,
                     int64_t known_length) {
    begun_ = true;
    // RFC 9110 section 2.5: never a version that is not ours.
    version_minor_ = request.at_least_1_1() ? 1 : 0;
    no_body_ = request.head_method || head.status_forbids_body();
    keep_alive_ = request.keep_alive && context.may_persist;
    if (head.has_content_length()) {
        framing_ = Framing::kLength;
        left_ = head.content_length();
    } else if (head.status_forbids_body() || (no_body_ && known_length <= 0)) {
        framing_ = Framing::kNone;  // an empty answer to HEAD does not tell what GET would give
    } else if (known_length >= 0) {
        framing_ = Framing::kLength;
        add_length_ = true;
        left_ = added_length_ = static_cast<uint64_t>(known_length);
    } else if (request.of_stream) {
        framing_ = Framing::kStream;
    } else if (request.at_least_1_1() && !request.by_gateway) {
        framing_ = Framing::kChunked;
    } else {
        framing_ = Framing::kClose;
    }
    if (framing_ == Framing::kClose && !no_body_) keep_alive_ = false;
    if (head.status() == 101) keep_alive_ = false;
}

http::ResponseHead::Context Response::head_context(const ResponseContext& context) const {
    http::ResponseHead::Context result;
    result.version_minor = version_minor_;
    result.server = context.server;
    result.date = context.date;
    result.connection = head.upgrade() ? "upgrade" : keep_alive_ ? "keep-alive" : "close";
    result.chunked = framing_ == Framing::kChunked;
    result.drop_content_length = head.status() < 200 || head.status() == 204;
    result.add_content_length = add_length_;
    result.content_length = added_length_;
    return result;
}

size_t Response::head_size_max(const ResponseContext& context) const {
    return head.size_max(head_context(context));
}

size_t Response::write_head(const ResponseContext& context, char* out) const {
    return head.write(head_context(context), out);
}

Response::Frame Response::frame(uint64_t piece_length, bool last) {
    Frame frame;
    const bool over = no_body_ || ended_;
    ended_ |= last;
    if (over) {
        dropped_ |= piece_length != 0;
        return frame;
    }
    frame.body_length = piece_length;
    if (framing_ == Framing::kLength) {
        if (piece_length > left_) {
            frame.body_length = left_;
            dropped_ = true;
        }
        left_ -= frame.body_length;
    } else if (framing_ == Framing::kChunked) {
        if (piece_length != 0) {
            frame.prefix_length =
                static_cast<uint8_t>(http1::write_chunk_prefix(piece_length, frame.prefix));
            frame.suffix = last ? "\r\n0\r\n\r\n" : "\r\n";
        } else if (last) {
            frame.suffix = "0\r\n\r\n";
        }
    }
    body_bytes_ += frame.body_length;
    return frame;
}

}  // namespace mono::session
