// StreamChannel: one stream of HTTP/2 as the transport of a link. To the link it looks like an
// HTTP/1.1 connection with one request.
// Owner: the Transport of the stream's link, under the engine's lock.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/byte_queue.hpp"
#include "engine/transport.hpp"
#include "http2/request_text.hpp"

namespace mono::engine {

struct Link;
class Multiplexer;

class StreamChannel final : public Channel {
  public:
    StreamChannel(Multiplexer& owner, uint32_t id) : owner_(&owner), id_(id) {}
    ~StreamChannel() override;

    [[nodiscard]] os::IoResult receive(std::span<char> into) override;
    [[nodiscard]] os::IoResult send(const iovec* parts, int count) override;
    bool unsent() const override { return false; }
    [[nodiscard]] os::IoResult flush() override { return {}; }
    // A response that is not whole is reset: it must not look so.
    void say_end() override;
    // The response is whole.
    void finish();
    // The link has more to do, later.
    void call_again();

    // From the multiplexer.
    void begin(std::string_view head, const http2::RequestInfo& info);
    void append(std::string_view bytes);
    void end(std::string_view trailers);
    void reset() { reset_ = true; }
    bool is_reset() const { return reset_; }
    void lose_owner() { owner_ = nullptr; }
    void attach(Link& link) { link_ = &link; }
    Link& link() const { return *link_; }
    uint32_t id() const { return id_; }

  private:
    size_t take(std::string_view bytes);
    size_t take_head(std::string_view bytes);
    void answer(std::string_view head);

    Multiplexer* owner_;
    Link* link_ = nullptr;
    uint32_t id_;
    base::ByteQueue input_;    // the request as HTTP/1.1 text
    uint64_t unconsumed_ = 0;  // bytes of DATA in it
    std::string head_;         // of an answer, as far as it has come
    bool chunked_ = false;     // the length of the body is not known
    bool websocket_ = false;
    bool ended_ = false;      // the peer's half
    bool reset_ = false;      // by the peer
    bool answering_ = false;  // the head of the final answer has left
    bool finished_ = false;   // our half
};

}  // namespace mono::engine
