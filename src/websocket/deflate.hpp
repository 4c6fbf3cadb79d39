// permessage-deflate, RFC 7692: its negotiation, and the two directions of compression.
// Owner of a Inflater or Deflater: one connection, one thread at a time. Each holds zlib's
// state (see window_bits below) from its construction on, so make them when they are needed.
// zlib that has no memory ends the process, as everything here does.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/buffer.hpp"

namespace mono::websocket {

// From settings; one immutable instance an engine.
struct DeflateRules {
    bool enabled = true;
    // A window of n bits costs 2^n bytes to inflate, 2^(n+2) + 2^(memory_level+9) to deflate.
    uint8_t server_window_bits_max = 12;  // 9 to 15
    uint8_t client_window_bits_max = 12;  // 9 to 15; asked of clients that let themselves be asked
    uint8_t memory_level = 5;             // 1 to 9
    uint8_t level = 6;                    // 1 to 9
    bool server_no_context_takeover = false;  // forget the window after each message sent
    bool client_no_context_takeover = false;  // ask the client to do so
    uint32_t message_bytes_min = 128;         // smaller messages are sent as they are
};

// What both sides agreed on.
struct DeflateParams {
    bool server_no_context_takeover = false;
    bool client_no_context_takeover = false;
    uint8_t server_window_bits = 15;  // what the client can read
    uint8_t client_window_bits = 15;  // what the client promises
    bool names_server_window = false;
    bool names_client_window = false;

    bool operator==(const DeflateParams&) const = default;
};

// Sec-WebSocket-Extensions as the client sent it: the first offer that can be kept. Offers with
// parameters that are unknown, repeated or out of range are declined (RFC 7692 section 5.1), and
// so is a server's window of 8 bits, which zlib cannot deflate with.
std::optional<DeflateParams> negotiate_deflate(std::string_view extensions,
                                               const DeflateRules& rules);
// The value of Sec-WebSocket-Extensions in the answer.
std::string write_deflate(const DeflateParams& params);

class Inflater {
  public:
    enum class Result : uint8_t { kOk, kTooBig, kCorrupt };

    explicit Inflater(const DeflateParams& params);
    ~Inflater();
    Inflater(const Inflater&) = delete;
    Inflater& operator=(const Inflater&) = delete;

    // Appends what `piece` of a message stands for. `out` never grows beyond bytes_max + 1 bytes,
    // whatever the piece says. After anything but kOk the connection has to end.
    [[nodiscard]] Result append(std::string_view piece, uint64_t bytes_max, base::Buffer& out);
    // The message is complete.
    [[nodiscard]] Result finish(uint64_t bytes_max, base::Buffer& out);
    // Between two messages, behind finish(): keeps only the window, as far as it is used, until
    // the next message comes.
    void rest();
    bool rests() const { return !awake_; }

  private:
    void begin_stream_anew();
    void wake();

    z_stream stream_ = {};
    bool keeps_context_;
    int window_bits_;
    bool awake_ = false;               // stream_ is in force
    std::unique_ptr<Bytef[]> window_;  // while it rests
    uInt window_bytes_ = 0;
    bool fed_ = false;    // the message has had a byte
    bool ended_ = false;  // the last block was a final one; what follows is a new stream
};

class Deflater {
  public:
    Deflater(const DeflateParams& params, const DeflateRules& rules);
    ~Deflater();
    Deflater(const Deflater&) = delete;
    Deflater& operator=(const Deflater&) = delete;

    // Appends the payload of the frame that carries `message`.
    void compress(std::string_view message, base::Buffer& out);

  private:
    z_stream stream_ = {};
    bool keeps_context_;
};

}  // namespace mono::websocket
