// EchoApplication: the smallest application over a Session, for the tests, the fuzz target and
// src/tools/h2_echo_server: a request with a body gets that body back while it arrives, any other
// `body_bytes` bytes. Request trailers come back as trailers. Owner: the test.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "http2/session.hpp"

namespace mono::http2 {

class EchoApplication final : public Events {
  public:
    struct Request {
        std::string head;
        std::string out;  // what is still to be sent
        std::string trailers;
        bool head_method = false;
        bool websocket = false;
        bool complete = false;  // all of it is here
        bool begun = false;     // it has a response
        bool finished = false;  // the end of the response was given
        Priority priority;
    };

    explicit EchoApplication(const Limits& limits, size_t body_bytes = 13)
        : body_(body_bytes, 'x'), session_(limits, *this) {}

    Session& session() { return session_; }
    // Streams that have neither ended nor been reset.
    std::map<uint32_t, Request>& requests() { return requests_; }
    const std::vector<std::string>& story() const { return story_; }
    void keep_story() { keeps_story_ = true; }

    void on_request(uint32_t stream, std::string_view head, const RequestInfo& info) override {
        Request& request = requests_[stream];
        request.head = head;
        request.head_method = head.starts_with("HEAD ");
        request.websocket = !info.protocol.empty();
        request.priority = info.priority;
        note("request", stream, head);
        if (info.end_stream) return;
        if (head.find("\r\nexpect: 100-continue\r\n") != std::string_view::npos)
            session_.interim(stream, 100, {});
        begin(stream, request);
    }
    void on_data(uint32_t stream, std::string_view bytes) override {
        note("data", stream, bytes);
        requests_[stream].out += bytes;
        push(stream);
    }
    void on_end(uint32_t stream, std::string_view trailers) override {
        note("end", stream, trailers);
        Request& request = requests_[stream];
        request.complete = true;
        request.trailers = trailers;
        if (!request.begun) answer(stream, request);
        push(stream);
    }
    void on_reset(uint32_t stream, Code code) override {
        note("reset", stream, std::to_string(static_cast<uint32_t>(code)));
        requests_.erase(stream);
    }
    void on_room(uint32_t stream) override { push(stream); }
    void on_sent(uint32_t stream) override {
        note("sent", stream, {});
        requests_.erase(stream);
    }
    void on_refused(uint32_t stream, uint16_t status, std::string_view why) override {
        note("refused " + std::to_string(status), stream, why);
    }

  private:
    void note(std::string_view what, uint32_t stream, std::string_view text) {
        if (!keeps_story_) return;
        story_.push_back(std::string(what) + " " + std::to_string(stream) + " ");
        story_.back() += text;
    }
    void begin(uint32_t stream, Request& request) {
        request.begun = true;
        session_.respond(stream, request.websocket ? 101 : 200, "Content-Type: text/plain\r\n",
                         false);
    }
    // Of a request without a body.
    void answer(uint32_t stream, Request& request) {
        request.begun = true;
        const std::string length = "Content-Length: " + std::to_string(body_.size()) + "\r\n";
        request.finished = request.head_method;
        session_.respond(stream, 200, length, request.head_method);
        if (!request.head_method) request.out = body_;
    }
    void push(uint32_t stream) {
        const auto found = requests_.find(stream);
        if (found == requests_.end() || found->second.finished) return;
        Request& request = found->second;
        const bool end = request.complete && request.trailers.empty();
        const size_t taken = session_.data(stream, request.out, end);
        request.finished = end && taken == request.out.size();
        request.out.erase(0, taken);
        session_.consumed(stream, taken);
        if (!request.complete || request.trailers.empty() || !request.out.empty()) return;
        request.finished = true;
        session_.trailers(stream, request.trailers);
    }

    const std::string body_;
    std::map<uint32_t, Request> requests_;
    std::vector<std::string> story_;
    bool keeps_story_ = false;
    Session session_;
};

}  // namespace mono::http2
