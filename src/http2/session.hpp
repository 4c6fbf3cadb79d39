// Session: one HTTP/2 connection of a server, RFC 9113, sans-I/O: bytes in, events and bytes out,
// over nghttp2. It knows no descriptor, no clock and no thread.
// Owner: one link, under its engine's lock. Calls are cheap and never wait.
//
// What calls what: feed(), output() and sent() call Events; an event may call any method of the
// session but these three. Inside on_request, on_data and on_end data() takes nothing yet: on_room
// follows before feed() returns. Of a stream that was reset or whose last byte was taken, every
// call is forgiven and does nothing.
//
// A stream ends, once, by on_reset, by on_sent, or by reset(). When fault() is set or over() holds,
// those that have not ended are the owner's to give up.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/byte_queue.hpp"
#include "http2/fault.hpp"
#include "http2/frame_walk.hpp"
#include "http2/guard.hpp"
#include "http2/limits.hpp"
#include "http2/request_text.hpp"
#include "http2/response_fields.hpp"

struct nghttp2_session;

namespace mono::http2 {

struct Stream;

// Views last as long as the call.
class Events {
  public:
    // `head`: an HTTP/1.1 head; an extended CONNECT reads as the GET of a WebSocket handshake.
    virtual void on_request(uint32_t stream, std::string_view head, const RequestInfo& info) = 0;
    virtual void on_data(uint32_t stream, std::string_view bytes) = 0;
    // The request is complete, with a body or without. `trailers`: lines; often none.
    virtual void on_end(uint32_t stream, std::string_view trailers) = 0;
    // The peer has no use for the response, or broke a rule; nothing of it is sent any more.
    virtual void on_reset(uint32_t stream, Code code) = 0;
    // data() may be called again; the most urgent stream hears it first (RFC 9218).
    virtual void on_room(uint32_t stream) = 0;
    // The response has been handed to the transport, END_STREAM included.
    virtual void on_sent(uint32_t stream) = 0;
    // A request that was no request: answered with `status`, or reset when that is 0.
    virtual void on_refused(uint32_t stream, uint16_t status, std::string_view why) = 0;

  protected:
    ~Events() = default;
};

// What an engine calls is virtual: the library that this stands on is loaded only where it is
// needed (docs/adr/0025).
class Session {
  public:
    Session(const Limits& limits, Events& events);  // both outlive it
    Session(const Session&) = delete;
    Session& operator=(const Session&) = delete;
    virtual ~Session();

    // Before anything else: the connection was upgraded; the HTTP/1.1 request is stream 1, of
    // which nothing is told by events but its end. `settings`: of accepts_upgrade().
    [[nodiscard]] virtual bool upgrade(std::string_view settings, bool head_method);

    // What the peer sent, its preface included. After a fault nothing is looked at any more.
    virtual void feed(std::string_view bytes, int64_t now_ms);
    // What is to be sent; makes more as long as less than output_bytes_max is waiting.
    virtual std::string_view output();
    virtual void sent(size_t bytes);                            // of output()
    std::string_view unsent() const { return output_.view(); }  // makes nothing

    // The final response. `fields`: lines, names in any case. `end`: there is no body.
    virtual void respond(uint32_t stream, uint16_t status, std::string_view fields, bool end);
    virtual void interim(uint32_t stream, uint16_t status, std::string_view fields);
    // How much of `bytes` was taken into output(): what the windows and the bound allow. The rest
    // is offered again at on_room. `end` counts when all of them were taken.
    [[nodiscard]] virtual size_t data(uint32_t stream, std::string_view bytes, bool end);
    // In place of data(..., true), when all data was taken.
    virtual void trailers(uint32_t stream, std::string_view lines);
    // RST_STREAM; nothing more is said of the stream.
    virtual void reset(uint32_t stream, Code code);
    // So many bytes of on_data are dealt with: the peer may send as many more.
    virtual void consumed(uint32_t stream, size_t bytes);

    // Drain: a GOAWAY that permits all streams, and a PING; its answer, or end_drain(), makes the
    // second GOAWAY, above whose last id no stream was or will be looked at.
    virtual void begin_drain();
    virtual void end_drain();

    size_t streams() const { return streams_.size(); }
    virtual bool over() const;  // nothing will be read or sent any more: close
    Fault fault() const { return fault_; }
    Code code() const { return code_; }  // of the GOAWAY that ended the connection, ours
    // For the log, with fault(): the rule, and what the codec said.
    virtual std::string fault_text() const;

  private:
    struct Callbacks;  // what nghttp2 calls (receive.cpp, transmit.cpp)
    enum class NoticeKind : uint8_t { kReset, kRoom, kSent };
    struct Notice {
        NoticeKind kind;
        uint32_t stream;
        Code code;
    };
    // The last byte of a response, counted from the connection's first.
    struct Mark {
        uint64_t end;
        uint32_t stream;
    };
    enum class Drain : uint8_t { kNo, kBegun, kEnded };

    Stream* find(uint32_t stream);
    Stream& open(uint32_t stream);
    void close(uint32_t stream, Code code);
    void greet();
    void fail(Fault fault, std::string_view detail);
    void pump();
    void deliver();
    void answer(Stream& stream, uint16_t status, std::string_view why);
    void submit(Stream& stream, uint16_t status, bool end);
    void reset_for(const Stream& stream, Code code);  // for the peer's fault
    void append(std::string_view bytes);

    const Limits& limits_;
    Events& events_;
    nghttp2_session* codec_ = nullptr;
    Guard guard_;
    FrameWalk walk_{guard_};
    std::unordered_map<uint32_t, std::unique_ptr<Stream>> streams_;
    std::vector<std::unique_ptr<Stream>> spare_;
    std::vector<Notice> notices_;
    std::vector<Mark> marks_;
    base::ByteQueue output_;
    uint64_t made_ = 0;  // bytes, ever
    ResponseFields fields_;
    std::string detail_;  // of the fault, or the codec's last complaint
    Fault fault_ = Fault::kNone;
    Code code_ = Code::kNoError;
    Drain drain_ = Drain::kNo;
    bool inside_ = false;           // nghttp2 runs: it may not be asked to send
    bool last_frame_made_ = false;  // a GOAWAY with an error
};

// How an engine comes by one.
using MakeSession = std::unique_ptr<Session>(const Limits& limits, Events& events);
MakeSession make_session;

}  // namespace mono::http2
