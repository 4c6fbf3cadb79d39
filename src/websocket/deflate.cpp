#include "websocket/deflate.hpp"

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <utility>

#include "http/names.hpp"

namespace mono::websocket {
namespace {

constexpr uint8_t kWindowBitsMin = 8;
constexpr uint8_t kWindowBitsMax = 15;
constexpr size_t kOutputStepMin = 512;
constexpr size_t kOutputStepMax = 16384;
constexpr uint64_t kInputStepMax = 1 << 30;  // zlib counts in 32 bits
// What the sender has cut off a message's end, RFC 7692 section 7.2.1.
constexpr std::string_view kTail("\x00\x00\xFF\xFF", 4);

// zlib is handed bytes that it only reads, but its interface is older than const.
Bytef* bytes_of(std::string_view text) {
    return const_cast<Bytef*>(reinterpret_cast<const Bytef*>(text.data()));
}

void must(int result) {
    if (result != Z_OK) std::abort();  // wrong arguments, or no memory
}

// Sec-WebSocket-Extensions, RFC 6455 section 9.1: extension *( ";" name [ "=" value ] ), and
// commas between. A value may be quoted, but what is inside is a token all the same.
class Reader {
  public:
    explicit Reader(std::string_view text) : text_(text) {}

    bool done() {
        skip_blanks();
        return text_.empty();
    }
    bool take(char wanted) {
        skip_blanks();
        if (text_.empty() || text_.front() != wanted) return false;
        text_.remove_prefix(1);
        return true;
    }
    bool take_token(std::string_view& token) {
        skip_blanks();
        size_t size = 0;
        while (size < text_.size() && http::is_token(text_.substr(size, 1))) ++size;
        token = text_.substr(0, size);
        text_.remove_prefix(size);
        return size != 0;
    }
    bool take_value(std::string_view& value) {
        skip_blanks();
        if (text_.empty() || text_.front() != '"') return take_token(value);
        const size_t close = text_.find('"', 1);
        if (close == std::string_view::npos) return false;
        value = text_.substr(1, close - 1);
        text_.remove_prefix(close + 1);
        return http::is_token(value);
    }

  private:
    void skip_blanks() {
        while (!text_.empty() && (text_.front() == ' ' || text_.front() == '\t'))
            text_.remove_prefix(1);
    }
    std::string_view text_;
};

// One offer; `ok` is false as soon as it cannot be kept.
struct Offer {
    bool ok = true;
    bool server_no_context = false;
    bool client_no_context = false;
    bool server_window = false;
    bool client_window = false;
    uint8_t server_bits = kWindowBitsMax;
    uint8_t client_bits = kWindowBitsMax;
};

// 8 to 15, without leading zeros.
bool read_bits(std::string_view value, uint8_t& bits) {
    if (value.size() == 1 && (value[0] == '8' || value[0] == '9')) {
        bits = static_cast<uint8_t>(value[0] - '0');
        return true;
    }
    if (value.size() != 2 || value[0] != '1' || value[1] < '0' || value[1] > '5') return false;
    bits = static_cast<uint8_t>(10 + value[1] - '0');
    return true;
}

bool once(bool& seen) { return !std::exchange(seen, true); }

// RFC 7692 section 7.1. Parameter names are compared as they are written: browsers send them so.
void take_parameter(std::string_view name, std::string_view value, bool has_value, Offer& offer) {
    if (name == "server_no_context_takeover")
        offer.ok &= once(offer.server_no_context) && !has_value;
    else if (name == "client_no_context_takeover")
        offer.ok &= once(offer.client_no_context) && !has_value;
    else if (name == "server_max_window_bits")
        offer.ok &= once(offer.server_window) && has_value && read_bits(value, offer.server_bits);
    else if (name == "client_max_window_bits")
        offer.ok &=
            once(offer.client_window) && (!has_value || read_bits(value, offer.client_bits));
    else
        offer.ok = false;
}

// False when the text is not what the grammar permits.
bool read_offer(Reader& reader, Offer& offer) {
    std::string_view name;
    if (!reader.take_token(name)) return false;
    offer.ok = http::equals_ignoring_case(name, "permessage-deflate");
    while (reader.take(';')) {
        std::string_view value;
        if (!reader.take_token(name)) return false;
        const bool has_value = reader.take('=');
        if (has_value && !reader.take_value(value)) return false;
        if (offer.ok) take_parameter(name, value, has_value, offer);
    }
    return true;
}

DeflateParams accept(const Offer& offer, const DeflateRules& rules) {
    DeflateParams params;
    params.server_no_context_takeover = offer.server_no_context || rules.server_no_context_takeover;
    // An offer of it is a hint only (section 7.1.1.2), and the context makes messages smaller.
    params.client_no_context_takeover = rules.client_no_context_takeover;
    // The same number as was offered, although a smaller window is used: some clients wrongly
    // refuse a smaller one. Nothing is said where nothing was asked.
    params.server_window_bits = offer.server_bits;
    params.names_server_window = offer.server_window;
    if (offer.client_window) {
        params.client_window_bits = std::min(offer.client_bits, rules.client_window_bits_max);
        params.names_client_window = true;
    }
    return params;
}

}  // namespace

std::optional<DeflateParams> negotiate_deflate(std::string_view extensions,
                                               const DeflateRules& rules) {
    if (!rules.enabled) return std::nullopt;
    Reader reader(extensions);
    while (!reader.done()) {
        if (reader.take(',')) continue;
        Offer offer;
        if (!read_offer(reader, offer)) return std::nullopt;
        if (!reader.done() && !reader.take(',')) return std::nullopt;
        if (offer.ok && offer.server_bits > kWindowBitsMin) return accept(offer, rules);
    }
    return std::nullopt;
}

std::string write_deflate(const DeflateParams& params) {
    std::string text = "permessage-deflate";
    if (params.server_no_context_takeover) text += "; server_no_context_takeover";
    if (params.client_no_context_takeover) text += "; client_no_context_takeover";
    if (params.names_server_window)
        text += "; server_max_window_bits=" + std::to_string(params.server_window_bits);
    if (params.names_client_window)
        text += "; client_max_window_bits=" + std::to_string(params.client_window_bits);
    return text;
}

Inflater::Inflater(const DeflateParams& params)
    : keeps_context_(!params.client_no_context_takeover),
      // Clients whose zlib takes 8 bits for 9 exist, and a larger window reads what a smaller
      // wrote.
      window_bits_(std::max<int>(params.client_window_bits, kWindowBitsMin + 1)) {
    wake();
}

Inflater::~Inflater() {
    if (awake_) inflateEnd(&stream_);
}

void Inflater::wake() {
    must(inflateInit2(&stream_, -window_bits_));
    awake_ = true;
    if (window_bytes_ != 0) must(inflateSetDictionary(&stream_, window_.get(), window_bytes_));
    window_.reset();
    window_bytes_ = 0;
}

void Inflater::rest() {
    if (!awake_) return;
    if (keeps_context_) must(inflateGetDictionary(&stream_, nullptr, &window_bytes_));
    if (window_bytes_ != 0) {
        window_ = std::make_unique<Bytef[]>(window_bytes_);
        must(inflateGetDictionary(&stream_, window_.get(), &window_bytes_));
    }
    inflateEnd(&stream_);
    stream_ = {};
    awake_ = ended_ = false;
}

// After a final block zlib stands still; the context of the messages before stays in force.
void Inflater::begin_stream_anew() {
    ended_ = false;
    const auto window = std::make_unique<Bytef[]>(1U << kWindowBitsMax);
    uInt size = 0;
    must(inflateGetDictionary(&stream_, window.get(), &size));
    must(inflateReset(&stream_));
    if (size != 0) must(inflateSetDictionary(&stream_, window.get(), size));
}

Inflater::Result Inflater::append(std::string_view piece, uint64_t bytes_max, base::Buffer& out) {
    fed_ |= !piece.empty();
    if (!awake_ && !piece.empty()) wake();
    while (!piece.empty()) {
        if (ended_) begin_stream_anew();
        const auto input = static_cast<uInt>(std::min<uint64_t>(piece.size(), kInputStepMax));
        stream_.next_in = bytes_of(piece);
        stream_.avail_in = input;
        int result = Z_OK;
        do {
            if (out.size() > bytes_max) return Result::kTooBig;
            const uint64_t left = std::min<uint64_t>(bytes_max - out.size(), kOutputStepMax) + 1;
            const auto step = static_cast<uInt>(std::min<uint64_t>(
                left,
                std::clamp<size_t>(size_t{4} * stream_.avail_in, kOutputStepMin, kOutputStepMax)));
            stream_.next_out = reinterpret_cast<Bytef*>(out.reserve(step));
            stream_.avail_out = step;
            result = inflate(&stream_, Z_SYNC_FLUSH);
            out.commit(step - stream_.avail_out);
            if (result == Z_MEM_ERROR) std::abort();
        } while (result == Z_OK && (stream_.avail_in != 0 || stream_.avail_out == 0));
        if (out.size() > bytes_max) return Result::kTooBig;
        piece.remove_prefix(input - stream_.avail_in);
        ended_ = result == Z_STREAM_END;
        // Z_BUF_ERROR: the output was full to the last byte, and nothing was behind it.
        if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
            return Result::kCorrupt;
    }
    return Result::kOk;
}

Inflater::Result Inflater::finish(uint64_t bytes_max, base::Buffer& out) {
    // Section 7.2.3.4 wants a byte behind a final block, and 7.2.3.6 one in an empty message: the
    // tail completes it. Some senders forget it; then the tail has nothing to complete.
    if (std::exchange(fed_, false) && !ended_) {
        const Result result = append(kTail, bytes_max, out);
        fed_ = false;
        if (result != Result::kOk) return result;
        // 128: between two blocks. Anything else means that the message was cut inside one.
        constexpr int kBetweenBlocks = 128;
        if ((stream_.data_type & kBetweenBlocks) == 0) return Result::kCorrupt;
    }
    if (!keeps_context_ && awake_) {
        ended_ = false;
        must(inflateReset(&stream_));
    }
    return Result::kOk;
}

Deflater::Deflater(const DeflateParams& params, const DeflateRules& rules)
    : keeps_context_(!params.server_no_context_takeover) {
    const int bits = std::min(params.server_window_bits, rules.server_window_bits_max);
    must(deflateInit2(&stream_, rules.level, Z_DEFLATED, -bits, rules.memory_level,
                      Z_DEFAULT_STRATEGY));
}

Deflater::~Deflater() { deflateEnd(&stream_); }

void Deflater::compress(std::string_view message, base::Buffer& out) {
    const size_t begin = out.size();
    do {
        const std::string_view piece = message.substr(0, kInputStepMax);
        message.remove_prefix(piece.size());
        stream_.next_in = bytes_of(piece);
        stream_.avail_in = static_cast<uInt>(piece.size());
        do {
            const auto step = static_cast<uInt>(
                std::clamp<size_t>(stream_.avail_in, kOutputStepMin, kOutputStepMax));
            stream_.next_out = reinterpret_cast<Bytef*>(out.reserve(step));
            stream_.avail_out = step;
            const int result = deflate(&stream_, message.empty() ? Z_SYNC_FLUSH : Z_NO_FLUSH);
            if (result != Z_OK && result != Z_BUF_ERROR) std::abort();
            out.commit(step - stream_.avail_out);
        } while (stream_.avail_out == 0);
    } while (!message.empty());
    // Section 7.2.1: the tail goes; section 7.2.3.6: nothing at all is one empty block.
    if (out.size() - begin > kTail.size()) {
        out.truncate(out.size() - kTail.size());
    } else {
        out.truncate(begin);
        out.append(std::string_view("\0", 1));
    }
    if (!keeps_context_) must(deflateReset(&stream_));
}

}  // namespace mono::websocket
