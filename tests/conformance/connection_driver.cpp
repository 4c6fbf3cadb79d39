#include "connection_driver.hpp"

#include <memory>

namespace mono::conformance {

using session::Next;
using session::Phase;

session::Limits ConnectionDriver::limits_from(const DriverRules& rules, uint64_t memory) {
    session::Limits limits;
    limits.head = rules.head;
    limits.trust = rules.trust;
    limits.body_memory_bytes_max = memory;
    return limits;
}

ConnectionDriver::ConnectionDriver(const DriverRules& rules, uint64_t body_memory_bytes_max)
    : limits_(limits_from(rules, body_memory_bytes_max)),
      connection_(context_, {"127.0.0.1", 1, 0, rules.peer_trusted}, 0) {}

void ConnectionDriver::feed(std::string_view piece) {
    if (over_) return;
    // A block of its own: AddressSanitizer sees a view that outlives the call.
    auto block = std::make_unique<char[]>(piece.size());
    piece.copy(block.get(), piece.size());
    act(connection_.feed({block.get(), piece.size()}, 0));
}

void ConnectionDriver::act(Next next) {
    while (true) {
        switch (next) {
            case Next::kBody:
            case Next::kRead:
                session::drain(connection_.out);  // 100 Continue
                over_ = over_ || connection_.phase() == Phase::kLinger;
                return;
            case Next::kDispatch:
                note_request();
                events_.push_back(event_line("end", {}));
                session::answer(connection_, "ok");
                connection_.finished(0);
                session::drain(connection_.out);
                next = connection_.flushed(0);
                break;
            case Next::kRefused:
                note_refusal();
                over_ = true;
                return;
            case Next::kClose:
                over_ = true;
                return;
        }
    }
}

void ConnectionDriver::note_request() {
    session::Exchange& exchange = *connection_.exchange();
    const char* buffer = exchange.bytes.data();
    note_head({buffer, exchange.head, exchange.scheme, exchange.script_name}, events_);
    const bool in_place = connection_.phase() == Phase::kBody && exchange.body.in_place();
    // A body in its place has its size from the beginning.
    const std::string body = in_place
                                 ? std::string(exchange.bytes.view().substr(exchange.head.length))
                                 : session::body_of(exchange);
    if (!body.empty()) events_.push_back(event_line("data", body));
}

// An error behind an accepted head counts from the body's first byte.
void ConnectionDriver::note_refusal() {
    const session::Refusal& refusal = connection_.refusal();
    // Before the body, what is wrong lies inside the head, or the head is not complete.
    const session::Exchange& exchange = *connection_.exchange();
    const bool in_body = exchange.started_us != 0 && refusal.offset >= exchange.head.length;
    if (in_body) note_request();
    const uint64_t head_length = in_body ? exchange.head.length : 0;
    events_.push_back(error_line(refusal.error, refusal.offset - head_length));
}

void ConnectionDriver::finish() {
    if (over_) return;
    const Phase phase = connection_.phase();
    if (connection_.end_of_input() != Next::kClose) events_.push_back("not closed at the end");
    if (phase == Phase::kBody) note_request();
    if (phase != Phase::kIdle) events_.push_back(event_line("incomplete", {}));
}

}  // namespace mono::conformance
