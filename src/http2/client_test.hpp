// Client: nghttp2's own client, in memory, as the peer of a Session in tests. Pair: both, and the
// wire between them, cut into pieces.
#pragma once

#include <gtest/gtest.h>
#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http2/echo_test.hpp"

namespace mono::http2 {

using Pairs = std::vector<std::pair<std::string, std::string>>;

struct Response {
    std::string status;
    Pairs fields;
    std::vector<std::string> interim;  // statuses of 1xx
    std::string body;
    Pairs trailers;
    bool closed = false;
    uint32_t code = 0;  // with which it was closed
};

class Client {
  public:
    // Credit comes back as data arrives, or, `greedy` false, by grant() alone.
    explicit Client(bool greedy = true) {
        nghttp2_session_callbacks* callbacks = nullptr;
        nghttp2_session_callbacks_new(&callbacks);
        nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
        nghttp2_option* option = nullptr;
        nghttp2_option_new(&option);
        nghttp2_option_set_no_auto_window_update(option, greedy ? 0 : 1);
        nghttp2_session_client_new2(&session_, callbacks, this, option);
        nghttp2_option_del(option);
        nghttp2_session_callbacks_del(callbacks);
        nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, nullptr, 0);
    }
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;
    ~Client() { nghttp2_session_del(session_); }

    uint32_t get(const std::string& path = "/", const Pairs& more = {}) {
        return request(head("GET", path, more), nullptr);
    }
    // With a body and trailers; `open`: neither ends it, more comes by send().
    uint32_t post(const std::string& body, const Pairs& trailers = {}, const Pairs& more = {},
                  bool open = false) {
        const auto id = static_cast<uint32_t>(nghttp2_session_get_next_stream_id(session_));
        bodies_[id] = {body, trailers, open};
        nghttp2_data_provider provider = {{.ptr = this}, read_body};
        return request(head("POST", "/", more), &provider);
    }
    uint32_t request(const Pairs& fields, const nghttp2_data_provider* provider) {
        const std::vector<nghttp2_nv> pairs = views(fields);
        return static_cast<uint32_t>(nghttp2_submit_request(session_, nullptr, pairs.data(),
                                                            pairs.size(), provider, nullptr));
    }
    void send(uint32_t stream, const std::string& bytes, bool end) {
        bodies_[stream].bytes += bytes;
        bodies_[stream].open = !end;
        nghttp2_session_resume_data(session_, static_cast<int32_t>(stream));
    }
    void grant(uint32_t stream, int bytes) {
        nghttp2_submit_window_update(session_, NGHTTP2_FLAG_NONE, static_cast<int32_t>(stream),
                                     bytes);
    }
    void cancel(uint32_t stream) {
        nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, static_cast<int32_t>(stream),
                                  NGHTTP2_CANCEL);
    }
    void initial_window(uint32_t bytes) {
        const nghttp2_settings_entry entry = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, bytes};
        nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, &entry, 1);
    }

    std::string output() {
        std::string bytes;
        const uint8_t* piece = nullptr;
        for (ssize_t size = 0; (size = nghttp2_session_mem_send(session_, &piece)) > 0;)
            bytes.append(reinterpret_cast<const char*>(piece), static_cast<size_t>(size));
        return bytes;
    }
    void feed(std::string_view bytes) {
        const auto* data = reinterpret_cast<const uint8_t*>(bytes.data());
        const ssize_t read = nghttp2_session_mem_recv(session_, data, bytes.size());
        EXPECT_EQ(read, static_cast<ssize_t>(bytes.size()))
            << nghttp2_strerror(static_cast<int>(read));
    }

    nghttp2_session* codec() { return session_; }
    Response& response(uint32_t stream) { return responses_[stream]; }
    struct Goaway {
        int32_t last;
        uint32_t code;
    };
    const std::vector<Goaway>& goaways() const { return goaways_; }

    static Pairs head(const std::string& method, const std::string& path, const Pairs& more) {
        Pairs fields = {
            {":method", method}, {":scheme", "http"}, {":authority", "a"}, {":path", path}};
        fields.insert(fields.end(), more.begin(), more.end());
        return fields;
    }
    static std::vector<nghttp2_nv> views(const Pairs& fields) {
        std::vector<nghttp2_nv> pairs;
        for (const auto& [name, value] : fields)
            pairs.push_back({bytes_of(name), bytes_of(value), name.size(), value.size(), 0});
        return pairs;
    }

  private:
    struct Body {
        std::string bytes;
        Pairs trailers;
        bool open = false;
    };

    static uint8_t* bytes_of(const std::string& text) {
        return reinterpret_cast<uint8_t*>(const_cast<char*>(text.data()));
    }
    static Client& of(void* user_data) { return *static_cast<Client*>(user_data); }
    Response& of(const nghttp2_frame* frame) {
        return responses_[static_cast<uint32_t>(frame->hd.stream_id)];
    }
    static int on_header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name,
                         size_t name_size, const uint8_t* value, size_t value_size, uint8_t,
                         void* user_data) {
        Response& response = of(user_data).of(frame);
        std::string key(reinterpret_cast<const char*>(name), name_size);
        std::string text(reinterpret_cast<const char*>(value), value_size);
        if (key == ":status" && text[0] == '1') {
            response.interim.push_back(text);
        } else if (key == ":status") {
            response.status = text;
        } else if (response.status.empty() || response.body.empty()) {
            response.fields.emplace_back(std::move(key), std::move(text));
        } else {
            response.trailers.emplace_back(std::move(key), std::move(text));
        }
        return 0;
    }
    static int on_data(nghttp2_session*, uint8_t, int32_t stream, const uint8_t* bytes, size_t size,
                       void* user_data) {
        of(user_data).responses_[static_cast<uint32_t>(stream)].body.append(
            reinterpret_cast<const char*>(bytes), size);
        return 0;
    }
    static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user_data) {
        if (frame->hd.type == NGHTTP2_GOAWAY)
            of(user_data).goaways_.push_back(
                {frame->goaway.last_stream_id, frame->goaway.error_code});
        return 0;
    }
    static int on_close(nghttp2_session*, int32_t stream, uint32_t code, void* user_data) {
        Response& response = of(user_data).responses_[static_cast<uint32_t>(stream)];
        response.closed = true;
        response.code = code;
        return 0;
    }
    static ssize_t read_body(nghttp2_session* session, int32_t stream, uint8_t* buffer, size_t size,
                             uint32_t* flags, nghttp2_data_source* source, void*) {
        Client& client = *static_cast<Client*>(source->ptr);
        Body& body = client.bodies_[static_cast<uint32_t>(stream)];
        const size_t taken = std::min(size, body.bytes.size());
        if (taken == 0 && body.open) return NGHTTP2_ERR_DEFERRED;
        std::copy_n(body.bytes.data(), taken, reinterpret_cast<char*>(buffer));
        body.bytes.erase(0, taken);
        if (!body.bytes.empty() || body.open) return static_cast<ssize_t>(taken);
        *flags = NGHTTP2_DATA_FLAG_EOF;
        if (!body.trailers.empty()) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            const std::vector<nghttp2_nv> pairs = views(body.trailers);
            nghttp2_submit_trailer(session, stream, pairs.data(), pairs.size());
        }
        return static_cast<ssize_t>(taken);
    }

    nghttp2_session* session_ = nullptr;
    std::map<uint32_t, Response> responses_;
    std::map<uint32_t, Body> bodies_;
    std::vector<Goaway> goaways_;
};

// Client and echo, each fed in pieces of `piece` bytes.
class Pair {
  public:
    explicit Pair(const Limits& limits = {}, size_t body_bytes = 13, bool greedy = true)
        : limits_(limits), client(greedy), echo(limits_, body_bytes) {
        echo.keep_story();
    }

    // Until neither has anything to say.
    void run(size_t piece = 1 << 20) {
        for (;;) {
            const std::string up = client.output();
            in_pieces(up, piece, [this](std::string_view part) { session().feed(part, now_ms); });
            const std::string down(session().output().substr(0, down_bytes_max));
            in_pieces(down, piece, [this](std::string_view part) {
                client.feed(part);
                session().sent(part.size());
            });
            if (up.empty() && down.empty()) return;
        }
    }
    Session& session() { return echo.session(); }
    std::string story() const {
        std::string text;
        for (const std::string& line : echo.story()) text += line + "\n";
        return text;
    }

  private:
    template <class Take>
    static void in_pieces(std::string_view bytes, size_t piece, Take take) {
        for (; !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size())))
            take(bytes.substr(0, piece));
    }

    const Limits limits_;

  public:
    Client client;
    EchoApplication echo;
    int64_t now_ms = 0;
    size_t down_bytes_max = 1 << 20;  // of one send
};

}  // namespace mono::http2
