// A connection: what it gives the application does not depend on the pieces in which the bytes
// come, nor on where bodies lie; and whatever comes, in any order with time and the client's end,
// the promises of session/connection.hpp hold.
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
    Peer(const session::Limits& limits, uint64_t spill_room)
        : limits_(limits), connection_(context_, {"127.0.0.1", 1, 0, true}, 0) {
        spills_.room = spill_room;
        check();
    }

    void send(std::string_view bytes) {
        kernel_ += bytes;
        deliver();
    }
    void finish_request() {
        if (closed_ || connection_.phase() != Phase::kReady) return;
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
        while (!closed_ && connection_.phase() == Phase::kReady) finish_request();
        flush();
    }
    bool closed() const { return closed_; }
    const std::string& transcript() const { return transcript_; }

  private:
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
            case Next::kBody:
                break;
            case Next::kDispatch:
                note_request();
                break;
            case Next::kRefused:
                note_refusal();
                break;
            case Next::kClose:
                closed_ = true;
                return;
        }
        check();
        // 100 Continue or a refusal leaves at once.
        if (connection_.phase() != Phase::kReady) flush();
    }
    void note_request() {
        require(connection_.phase() == Phase::kReady, "a dispatched request is ready");
        const session::Exchange& exchange = *connection_.exchange();
        std::vector<std::string> events;
        conformance::note_head(
            {exchange.bytes.data(), exchange.head, exchange.scheme, exchange.script_name}, events);
        for (const std::string& event : events) transcript_ += event + "\n";
        const std::string body = session::body_of(exchange);
        require(body.size() == exchange.body.size(), "the body has not its size");
        require(limits_.body_bytes_max == 0 || body.size() <= limits_.body_bytes_max,
                "a body beyond its bound");
        if (exchange.head.body == http::BodyKind::kLength)
            require(body.size() == exchange.head.content_length, "the body is not Content-Length");
        if (exchange.head.body == http::BodyKind::kNone) require(body.empty(), "a body too much");
        if (!exchange.body.spilled()) require(exchange.body_view() == body, "two bodies");
        require(exchange.head.length <= limits_.head.head_bytes_max, "a head beyond its bound");
        transcript_ += "data " + body + "\n";
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
        require(holds == (phase == Phase::kHead || phase == Phase::kBody ||
                          phase == Phase::kReady || phase == Phase::kFlush),
                "an exchange exactly from a request's first byte until its answer has left");
        require(pool_.out == (holds ? 1 : 0), "an exchange was lost");
        require(spills_.alive <= (holds ? 1 : 0), "a spill was lost");
        require(connection_.wants_bytes() == (phase == Phase::kIdle || phase == Phase::kHead ||
                                              phase == Phase::kBody || phase == Phase::kLinger),
                "bytes are wanted outside the reading phases");
        const bool timed = connection_.deadline_ms() != Connection::kNever;
        if (phase == Phase::kReady && connection_.out.empty())
            require(!timed, "the application has no deadline here");
        if (phase == Phase::kHead || phase == Phase::kBody || phase == Phase::kLinger)
            require(timed, "a reading phase without a deadline");
        require(!(phase == Phase::kIdle && connection_.pipelined()), "bytes are forgotten");
    }

    session::Limits limits_;
    session::CountingPool pool_;
    session::MemorySpills spills_;
    session::ConnectionContext context_{limits_, pool_, spills_};
    Connection connection_;
    std::string kernel_;
    std::string transcript_;
    int64_t now_ms_ = 0;
    bool closed_ = false;
    bool draining_ = false;
};

std::string run(const session::Limits& limits, uint64_t room, std::string_view input,
                Random* random) {
    Peer peer(limits, room);
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
void run_events(const session::Limits& limits, std::string_view input, Random& random) {
    Peer peer(limits, random.one_in(4) ? random.below(64) : UINT64_MAX);
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
    mono::session::Limits limits = limits_from(random);
    const uint64_t room = random.one_in(4) ? random.below(64) : UINT64_MAX;
    limits.body_memory_bytes_max = room == UINT64_MAX ? 65536 : random.below(64);
    const std::string whole = run(limits, room, input, nullptr);
    for (int round = 0; round < 2; ++round) {
        require(run(limits, room, input, &random) == whole, "the requests depend on the split");
        if (room == UINT64_MAX) limits.body_memory_bytes_max = random.below(64);
    }
    run_events(limits, input, random);
    return 0;
}
