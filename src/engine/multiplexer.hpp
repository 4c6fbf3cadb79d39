// Multiplexer: one HTTP/2 connection. Each of its streams is a link of its own whose transport is
// the stream: it reads a request as HTTP/1.1 text and writes its answer so, and everything that
// holds for a connection (limits, deadlines, slots, slow readers, WebSockets) holds for a stream.
// Owner: the connection's Link, under the engine's lock. Streams' links never outlive it.
//
// What the session has to say of streams is noted, and dealt with when the session is done: no
// stream is driven inside of another one's call, or of the connection's.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string_view>
#include <unordered_map>

#include "base/byte_queue.hpp"
#include "engine/transport.hpp"
#include "http2/session.hpp"
#include "session/connection.hpp"

namespace mono::engine {

struct Core;
struct Link;
class StreamChannel;

class Multiplexer final : public http2::Events {
  public:
    Multiplexer(Core& core, Link& connection);
    ~Multiplexer();
    Multiplexer(const Multiplexer&) = delete;
    Multiplexer& operator=(const Multiplexer&) = delete;

    // What the peer sent.
    [[nodiscard]] session::Next feed(std::string_view bytes);
    // Streams that there is news of are driven, within a turn's bound.
    [[nodiscard]] session::Next settle();
    bool has_news() const { return !news_.empty(); }
    // As much output as the connection takes. False: it is broken.
    [[nodiscard]] bool flush();
    bool has_output() { return !broken_ && !session_->output().empty(); }
    // Nothing is left to be said or heard.
    bool over() const { return broken_ || session_->over(); }
    bool broken() const { return broken_; }
    bool idle() const { return streams_.empty(); }
    int64_t deadline_ms() const { return deadline_ms_; }
    // It is over: nobody has asked anything for long, or does not read.
    void expire();
    // First every stream is permitted that is on its way here; at the second call no more.
    void drain();
    // The connection ends.
    void close_streams();

    // For streams.
    http2::Session& session() { return *session_; }
    void remind(uint32_t stream);
    void forget(uint32_t stream);
    // What a stream has written leaves.
    void push();

    void on_request(uint32_t stream, std::string_view head,
                    const http2::RequestInfo& info) override;
    void on_data(uint32_t stream, std::string_view bytes) override;
    void on_end(uint32_t stream, std::string_view trailers) override;
    void on_reset(uint32_t stream, http2::Code code) override;
    void on_room(uint32_t stream) override;
    void on_sent(uint32_t) override {}
    void on_refused(uint32_t stream, uint16_t status, std::string_view why) override;

  private:
    StreamChannel* find(uint32_t stream) const;
    void note(uint32_t stream);
    void call_for_turn();
    void progressed();
    void say_fault();

    Core& core_;
    Link& connection_;
    const std::unique_ptr<http2::Session> session_;
    std::unordered_map<uint32_t, StreamChannel*> streams_;
    std::deque<uint32_t> news_;
    int64_t deadline_ms_;
    bool broken_ = false;
    bool draining_ = false;
    bool fault_said_ = false;
};

}  // namespace mono::engine
