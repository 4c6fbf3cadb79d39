// A connection: what it gives the application does not depend on the pieces in which the bytes
// come, nor on where bodies lie, nor, streamed, on when the application takes them; and whatever
// comes, in any order with time and the client's end, the promises of session/connection.hpp hold.
#include <memory>
#include <string>
#include <vector>

#include "fuzz.hpp"
#include "message_driver.hpp"
#include "session/connection.hpp"
#include "session/support_test.hpp"

namespace mono::fuzz {
namespace {

using session::Connection;
using session::Next;
using session::Phase;

constexpr size_t kInputBytesMax = 16 * 1024;

session::Limits limits_from(Random& random) {
    const conformance::DriverRules rules;
    session::Limits limits;
    limits.head = rules.head;
    limits.trust = rules.trust;
    if (random.one_in(4)) limits.head.permit_obsolete_folding = true;
    if (random.one_in(8)) limits.head.strip_header_spaces = true;
    if (random.one_in(4)) limits.trust.header_map = http::HeaderMap::kRefuse;
    if (random.one_in(4)) limits.head.head_bytes_max = 64 + random.below(512);
    if (random.one_in(3)) limits.body_bytes_max = 1 + random.below(64);
    if (random.one_in(6)) limits.keepalive_ms_max = 0;
    if (random.one_in(8)) limits.script_name = "/app";
    return limits;
}

// One connection and its application. Bytes that the connection does not want stay "in the
// kernel".
class Peer {
  public:
    Peer(const session::Limits& limits, uint64_t spill_room, bool stream)
        : limits_(limits),
          context_{limits_, pool_, spills_, ids_, now_us_, stream},
          connection_(context_, {"127.0.0.1", 1, 0, true}, 0) {
        spills_.room = spill_room;
        check();
    }

    void send(std::string_view bytes) {
        kernel_ += bytes;
        deliver();
    }
    void finish_request() {
        take_body();
        if (closed_ || !dispatched()) return;
        session::answer(connection_, "hello", !draining_);
        connection_.progressed(now_ms_);
        check();
        connection_.finished(now_ms_);
        require(connection_.phase() == Phase::kFlush, "an answered request is flushed");
        check();
        flush();
        deliver();
    }
    void flush() {
        if (closed_ || connection_.out.empty()) return;
        session::drain(connection_.out);
        connection_.progressed(now_ms_);
        check();
        if (connection_.phase() == Phase::kFlush) act(connection_.flushed(now_ms_));
    }
    void expire() {
        if (closed_ || connection_.deadline_ms() == Connection::kNever) return;
        require(connection_.deadline_ms() >= now_ms_, "a deadline in the past");
        now_ms_ = connection_.deadline_ms();
        act(connection_.expire(now_ms_));
    }
    void wait(uint32_t ms) {
        if (connection_.deadline_ms() - now_ms_ > ms) now_ms_ += ms;
    }
    void drain() { draining_ = true; }
    void end() {
        if (closed_) return;
        const Phase phase = connection_.phase();
        act(connection_.end_of_input());
        const bool answers = phase == Phase::kReady || phase == Phase::kFlush;
        require(closed_ != answers, "the client's end is obeyed unless an answer is due");
    }
    // Answers at once, whatever the application is given.
    void settle() {
        take_body();
        while (!closed_ && connection_.phase() == Phase::kReady) {
            finish_request();
            take_body();
        }
        flush();
    }
    // What the application of a streamed request does, until there is no more.
    void take_body() {
        while (!closed_ && dispatched() && connection_.exchange()->streamed) {
            session::Exchange& exchange = *connection_.exchange();
            if (exchange.incoming.empty()) {
                connection_.want_body(now_ms_);
                if (exchange.body_complete && !noted_) {
                    transcript_ += streamed_head_ + "data " + streamed_ + "\n";
                    noted_ = true;
                }
                flush_some();
                return;
            }
            streamed_ += exchange.incoming.view();
            exchange.incoming.clear();
            connection_.body_taken(now_ms_);
            require(limits_.body_bytes_max == 0 || streamed_.size() <= limits_.body_bytes_max,
                    "a streamed body beyond its bound");
            deliver();
        }
    }
    bool closed() const { return closed_; }
    const std::string& transcript() const { return transcript_; }

  private:
    bool dispatched() const {
        return connection_.phase() == Phase::kReady || connection_.phase() == Phase::kStream;
    }
    void flush_some() {
        if (connection_.out.empty()) return;
        session::drain(connection_.out);
        connection_.progressed(now_ms_);
    }
    void deliver() {
        while (!closed_ && !kernel_.empty() && connection_.wants_bytes()) {
            // A block of its own: AddressSanitizer sees a view that outlives the call.
            auto block = std::make_unique<char[]>(kernel_.size());
            kernel_.copy(block.get(), kernel_.size());
            const size_t size = kernel_.size();
            kernel_.clear();
            act(connection_.feed({block.get(), size}, now_ms_));
        }
    }
    void act(Next next) {
        switch (next) {
            case Next::kRead:
                break;
            case Next::kBody:
                require(connection_.exchange()->streamed, "a body without a stream");
                break;
            case Next::kDispatch:
                note_request();
                break;
            case Next::kRefused:
                note_refusal();
                release_streamed();
                break;
            case Next::kClose:
                closed_ = true;
                return;
        }
        check();
        // 100 Continue or a refusal leaves at once.
        if (!dispatched()) flush();
    }
    // The application keeps the exchange of a streamed request that is refused under it.
    void release_streamed() {
        session::Exchange* exchange = connection_.exchange();
        if (exchange == nullptr || !exchange->streamed) return;
        pool_.put(connection_.detach_exchange());
    }
    void note_request() {
        require(dispatched(), "a dispatched request is ready");
        streamed_.clear();
        noted_ = false;
        const session::Exchange& exchange = *connection_.exchange();
        std::vector<std::string> events;
        conformance::note_head(
            {exchange.bytes.data(), exchange.head, exchange.scheme, exchange.script_name}, events);
        std::string text;
        for (const std::string& event : events) text += event + "\n";
        require(exchange.head.length <= limits_.head.head_bytes_max, "a head beyond its bound");
        if (exchange.streamed) {
            // Whether it was handed out before its body went wrong depends on the pieces.
            streamed_head_ = text;
            return;
        }
        const std::string body = session::body_of(exchange);
        require(body.size() == exchange.body.size(), "the body has not its size");
        require(limits_.body_bytes_max == 0 || body.size() <= limits_.body_bytes_max,
                "a body beyond its bound");
        if (exchange.head.body == http::BodyKind::kLength)
            require(body.size() == exchange.head.content_length, "the body is not Content-Length");
        if (exchange.head.body == http::BodyKind::kNone) require(body.empty(), "a body too much");
        if (!exchange.body.spilled()) require(exchange.body_view() == body, "two bodies");
        transcript_ += text + "data " + body + "\n";
    }
    void note_refusal() {
        require(connection_.phase() == Phase::kFlush, "a refusal is flushed");
        const session::Refusal& refusal = connection_.refusal();
        require(refusal.error != http::Error::kNone, "refused for nothing");
        require(!connection_.out.empty(), "refused without a page");
        transcript_ += conformance::error_line(refusal.error, refusal.offset) + "\n";
    }
    void check() {
        const Phase phase = connection_.phase();
        const bool holds = connection_.exchange() != nullptr;
        const bool refused = connection_.refusal().error != http::Error::kNone;
        require(holds == (phase == Phase::kHead || phase == Phase::kBody || dispatched() ||
                          phase == Phase::kFlush) ||
                    (phase == Phase::kFlush && refused),
                "an exchange exactly from a request's first byte until its answer has left");
        require(pool_.out == (holds ? 1 : 0), "an exchange was lost");
        require(spills_.alive <= (holds ? 1 : 0), "a spill was lost");
        if (phase == Phase::kStream)
            require(!connection_.exchange()->body_complete, "a complete body still streams");
        else
            require(connection_.wants_bytes() == (phase == Phase::kIdle || phase == Phase::kHead ||
                                                  phase == Phase::kBody || phase == Phase::kLinger),
                    "bytes are wanted outside the reading phases");
        const bool timed = connection_.deadline_ms() != Connection::kNever;
        if (phase == Phase::kReady && connection_.out.empty())
            require(!timed, "the application has no deadline here");
        if (phase == Phase::kHead || phase == Phase::kBody || phase == Phase::kLinger)
            require(timed, "a reading phase without a deadline");
        require(!(phase == Phase::kIdle && !connection_.pipelined().empty()),
                "bytes are forgotten");
    }

    session::Limits limits_;
    session::CountingPool pool_;
    session::MemorySpills spills_;
    http::RequestIdMaker ids_{0};
    int64_t now_us_ = 1;  // 0 would mean: not yet
    session::ConnectionContext context_;
    Connection connection_;
    std::string kernel_;
    std::string transcript_;
    int64_t now_ms_ = 0;
    bool closed_ = false;
    bool draining_ = false;
    std::string streamed_head_;
    std::string streamed_;  // of the request that the application has
    bool noted_ = false;
};

struct Setting {
    session::Limits limits;
    uint64_t room;
    bool stream;
};

std::string run(const Setting& setting, std::string_view input, Random* random) {
    Peer peer(setting.limits, setting.room, setting.stream);
    if (random == nullptr) {
        peer.send(input);
        peer.settle();
    } else {
        in_pieces(input, *random, [&peer, random](std::string_view piece) {
            peer.send(piece);
            if (random->one_in(2)) peer.settle();
        });
        peer.settle();
    }
    peer.end();
    return peer.transcript();
}

// Anything may happen at any time; only the promises are looked at.
void run_events(const Setting& setting, std::string_view input, Random& random) {
    Peer peer(setting.limits, random.one_in(4) ? random.below(64) : UINT64_MAX, setting.stream);
    in_pieces(input, random, [&peer, &random](std::string_view piece) {
        if (peer.closed()) return;
        peer.send(piece);
        switch (random.below(8)) {
            case 0:
                peer.expire();
                break;
            case 1:
                peer.wait(random.below(100'000));
                break;
            case 2:
                peer.flush();
                break;
            case 3:
                if (random.one_in(8)) peer.drain();
                break;
            case 4:
                if (random.one_in(16)) peer.end();
                break;
            case 5:
                peer.take_body();
                break;
            default:
                peer.finish_request();
        }
    });
    peer.settle();
    peer.expire();
    peer.end();
}

}  // namespace
}  // namespace mono::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    using namespace mono::fuzz;
    if (size > kInputBytesMax) return 0;
    const std::string_view input = as_text(data, size);
    Random random(input);
    Setting setting{limits_from(random), UINT64_MAX, random.one_in(2)};
    if (random.one_in(4)) setting.room = random.below(64);
    uint64_t& memory = setting.limits.body_memory_bytes_max;
    memory = setting.room == UINT64_MAX ? 65536 : random.below(64);
    const std::string whole = run(setting, input, nullptr);
    for (int round = 0; round < 2; ++round) {
        require(run(setting, input, &random) == whole, "the requests depend on the split");
        if (setting.room == UINT64_MAX) memory = random.below(64);
    }
    run_events(setting, input, random);
    return 0;
}
