// One HTTP/2 connection: whatever a client sends, split anywhere, and whatever an application
// answers, the story of each stream is told in order, each head is exactly one HTTP/1.1 request,
// and what waits to be sent stays within its bound.
#include <memory>
#include <string>
#include <unordered_map>

#include "fuzz.hpp"
#include "http1/head_parser.hpp"
#include "http2/frame_walk.hpp"
#include "http2/preface.hpp"
#include "http2/session.hpp"

namespace mono::fuzz {
namespace {

constexpr size_t kInputBytesMax = 32 * 1024;
constexpr size_t kFrameBytes = 16384 + 9;
constexpr size_t kHeadBytes = 64 * 1024;  // of one response, and what is made beside it

class Application final : public http2::Events {
  public:
    Application(const http2::Limits& limits, Random& random)
        : limits_(limits), random_(random), session_(limits, *this) {}

    http2::Session& session() { return session_; }

    void on_request(uint32_t stream, std::string_view head, const http2::RequestInfo&) override {
        require(stream % 2 == 1 && stream > last_, "streams come in order");
        last_ = stream;
        open_[stream] = {};
        require_one_request(head);
        if (random_.one_in(4)) act(stream);
    }
    void on_data(uint32_t stream, std::string_view bytes) override {
        const auto found = open_.find(stream);
        require(found != open_.end(), "data of a stream that is not open");
        require(!found->second.complete, "data behind the end");
        require(!bytes.empty(), "data without bytes");
        found->second.held += bytes.size();
        held_ += bytes.size();
        require(held_ <= limits_.connection_window_bytes, "more than the connection's window");
        if (random_.one_in(4)) act(stream);
    }
    void on_end(uint32_t stream, std::string_view) override {
        const auto found = open_.find(stream);
        require(found != open_.end() && !found->second.complete, "one end a request");
        found->second.complete = true;
        if (random_.one_in(2)) act(stream);
    }
    void on_reset(uint32_t stream, http2::Code) override { close(stream); }
    void on_room(uint32_t stream) override {
        require(open_.contains(stream), "room of a stream that is not open");
        act(stream);
    }
    void on_sent(uint32_t stream) override { close(stream); }
    void on_refused(uint32_t stream, uint16_t, std::string_view why) override {
        require(!open_.contains(stream), "a request that was told is refused");
        require(!why.empty(), "refused without a reason");
    }

    // Something that an application may do at any time.
    void act(uint32_t stream) {
        const auto found = open_.find(stream);
        if (found == open_.end()) return;
        switch (random_.below(8)) {
            case 0:
                return session_.respond(stream, 200, "Content-Length: 20\r\nX: y\r\n", false);
            case 1:
                return session_.respond(stream, 204, "", random_.one_in(2));
            case 2:
                return session_.interim(stream, 103, "Link: </x>\r\n");
            case 3:
            case 4: {
                const std::string body(random_.below(40'000), 'b');
                require(session_.data(stream, body, random_.one_in(3)) <= body.size(),
                        "more taken than given");
                return;
            }
            case 5:
                return session_.trailers(stream, "X-Sum: 1\r\n");
            case 6:
                session_.consumed(stream, found->second.held);
                held_ -= found->second.held;
                found->second.held = 0;
                return;
            default:
                session_.reset(stream, http2::Code::kCancel);
                close(stream);
        }
    }
    void act_somewhere() {
        if (!open_.empty()) act(open_.begin()->first);
        if (random_.one_in(50)) session_.begin_drain();
        if (random_.one_in(50)) session_.end_drain();
    }

  private:
    struct Open {
        size_t held = 0;  // bytes of the body that were not consumed
        bool complete = false;
    };

    void close(uint32_t stream) {
        const auto found = open_.find(stream);
        require(found != open_.end(), "a stream ends once");
        held_ -= found->second.held;
        open_.erase(found);
    }
    static void require_one_request(std::string_view head) {
        std::string text(head);
        const http1::HeadRules rules;
        http1::HeadParser parser(rules);
        http::RequestHead parsed;
        const http1::ParseStatus status =
            parser.parse(text.data(), static_cast<uint32_t>(text.size()), parsed);
        require(status != http1::ParseStatus::kNeedMore, "the head has no end");
        require(status == http1::ParseStatus::kFailed || parsed.length == text.size(),
                "something follows the head");
    }

    const http2::Limits& limits_;
    Random& random_;
    std::unordered_map<uint32_t, Open> open_;
    size_t held_ = 0;
    uint32_t last_ = 0;
    http2::Session session_;
};

http2::Limits limits_from(Random& random) {
    http2::Limits limits;
    if (random.one_in(2)) return limits;
    limits.output_bytes_max = 1 + random.below(20'000);
    limits.window_bytes = random.below(70'000);
    limits.header_list_bytes_max = random.below(1000);
    limits.streams_max = 1 + random.below(10);
    limits.extended_connect = random.one_in(2);
    limits.resets_max = limits.pings_max = limits.settings_max = random.below(5);
    limits.continuations_max = random.below(5);
    return limits;
}

void serve(std::string_view input, Random& random) {
    const http2::Limits limits = limits_from(random);
    Application application(limits, random);
    http2::Session& session = application.session();
    int64_t now_ms = 0;
    in_pieces(input, random, [&](std::string_view piece) {
        // A block of its own: AddressSanitizer sees a read past the piece.
        auto block = std::make_unique<char[]>(piece.size());
        piece.copy(block.get(), piece.size());
        session.feed({block.get(), piece.size()}, now_ms += random.below(50));
        require(session.unsent().size() <= limits.output_bytes_max + kFrameBytes + kHeadBytes,
                "too much waits to be sent");
        if (random.one_in(3)) application.act_somewhere();
        const size_t waiting = session.output().size();
        if (waiting != 0 && random.one_in(3))
            session.sent(1 + random.below(static_cast<uint32_t>(waiting)));
    });
    for (size_t size = 0; (size = session.output().size()) != 0;) session.sent(size);
    if (session.fault() == http2::Fault::kNone) return;
    require(session.over(), "a fault ends the connection");
    require(!session.fault_text().empty(), "a fault without words");
}

http2::Fault walk(std::string_view input, Random* random) {
    const http2::Limits limits;
    http2::Guard guard(limits);
    http2::FrameWalk frames(guard);
    const auto take = [&frames](std::string_view piece) {
        if (frames.fault() != http2::Fault::kNone) return;
        const size_t sound = frames.walk(piece);
        require(sound <= piece.size(), "more walked than given");
        require(frames.fault() != http2::Fault::kNone || sound == piece.size(), "a rest is left");
    };
    if (random == nullptr)
        take(input);
    else
        in_pieces(input, *random, take);
    return frames.fault();
}

}  // namespace
}  // namespace mono::fuzz

// The input is what follows the preface.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace mono::fuzz;
    if (size > kInputBytesMax) return 0;
    Random random(as_text(data, size));
    std::string input(mono::http2::kPreface);
    if (!random.one_in(4)) input.append("\0\0\0\4\0\0\0\0\0", 9);  // SETTINGS, which must be first
    input += as_text(data, size);
    require(walk(input, nullptr) == walk(input, &random), "the fault depends on the split");
    serve(input, random);
    return 0;
}
