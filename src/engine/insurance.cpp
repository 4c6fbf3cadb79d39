#include "engine/insurance.hpp"

#include <cstring>
#include <string_view>

#include "os/crash_handler.hpp"
#include "os/socket.hpp"

namespace mono::engine {
namespace {

using board::Flight;
using board::FlightPhase;

// Text on the stack, built without a call that could allocate.
class Text {
  public:
    Text& add(std::string_view part) {
        length_ += part.copy(bytes_ + length_, sizeof bytes_ - length_);
        return *this;
    }
    Text& add(size_t number) {
        char digits[20];
        size_t at = sizeof digits;
        do {
            digits[--at] = static_cast<char>('0' + number % 10);
            number /= 10;
        } while (number != 0);
        return add({digits + at, sizeof digits - at});
    }
    std::string_view view() const { return {bytes_, length_}; }

  private:
    char bytes_[1024];
    size_t length_ = 0;
};

Text page_of(const Flight& flight, bool late) {
    std::string_view reason = late ? "504 Gateway Timeout" : "502 Bad Gateway";
    Text body;
    body.add("<!DOCTYPE html>\n<html>\n<head><title>").add(reason.substr(4));
    body.add("</title></head>\n<body>\n<h1>").add(reason.substr(4)).add("</h1>\n<p>");
    body.add(late ? "The application did not answer in time." : "The application has crashed.");
    body.add("</p>\n<p>Request id: ").add(flight.id.view()).add("</p>\n</body>\n</html>\n");
    Text page;
    page.add("HTTP/1.1 ").add(reason).add("\r\nX-Request-ID: ").add(flight.id.view());
    page.add("\r\nConnection: close\r\nContent-Type: text/html\r\nContent-Length: ");
    page.add(body.view().size()).add("\r\n\r\n");
    if (flight.method.view() != "HEAD") page.add(body.view());
    return page;
}

// Unread input would turn the end of the process into a reset, which takes the answer with it.
// False: the kernel has not taken it all.
bool answer(int fd, std::string_view page) {
    const os::IoResult sent = os::send_bytes(fd, page.data(), page.size());
    os::shutdown_write(fd);
    char rest[4096];
    for (int i = 0; i < 64 && os::receive(fd, rest).status == os::IoStatus::kDone; ++i) {
    }
    return sent.bytes == page.size();
}

}  // namespace

Insurance::~Insurance() { os::remove_crash_handler(this); }

void Insurance::install() {
    os::install_crash_handler(
        [](void* self, bool asked) { static_cast<Insurance*>(self)->pay(asked); }, this);
}

// With what came behind it: a sibling that began to read in the middle of the next request would
// take its body for one. The bytes stand still while a request is queued, as its own do.
bool Insurance::hand_on(const session::Exchange& exchange, Link& link) const {
    link.given_away = may_move(link, limits_) && relay_.send(exchange, link) == Handover::kDone;
    return link.given_away;
}

// Our page instead of the application's answer. False: half an interim response (1xx) stands
// before it, and the page would be taken for the rest.
bool Insurance::end_waiting(const session::Exchange& exchange, const Flight& flight,
                            bool late) const {
    const Link* link = exchange.link;
    const int fd = flight.fd.load();  // once: its client may leave meanwhile
    if (fd < 0) return false;
    if (link == nullptr || link->connection.out.empty())
        return answer(fd, page_of(flight, late).view());
    os::reset(fd);
    return false;
}

void Insurance::pay(bool late) {
    paid_.store(true);
    board::Slot& slot = recorder_.slot();
    outbox_.take_all([&](int fd, std::string_view bytes, session::Exchange& exchange) {
        bool whole = answer(fd, bytes);
        if (!whole && exchange.response.close_delimited()) os::reset(fd);
        (whole ? slot.ledger.answered : slot.ledger.aborted).fetch_add(1);
        exchange.counted = false;
    });
    uint32_t used = std::min(board::kFlightsMax, slot.flights_used.load());
    for (uint32_t i = 0; i < used; ++i) {
        Flight& flight = slot.flights[i];
        FlightPhase phase = flight.phase.load(std::memory_order_acquire);
        session::Exchange* exchange = recorder_.exchange(i);
        bool waits = phase == FlightPhase::kQueued || phase == FlightPhase::kRunning;
        if (flight.fd.load() < 0 || exchange == nullptr || !waits) continue;
        auto* link = exchange->link;
        if (phase == FlightPhase::kQueued && link != nullptr && hand_on(*exchange, *link)) {
            slot.ledger.accepted.fetch_sub(1);
        } else {
            bool told = end_waiting(*exchange, flight, late);
            (told ? slot.ledger.refused : slot.ledger.aborted).fetch_add(1);
        }
        // Handed on or answered: the process may live on for its last steps, and is done with it.
        exchange->counted = false;
    }
}

}  // namespace mono::engine
