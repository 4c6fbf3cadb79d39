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
void answer(int fd, std::string_view page) {
    os::send_bytes(fd, page.data(), page.size());
    os::shutdown_write(fd);
    char rest[4096];
    for (int i = 0; i < 64 && os::receive(fd, rest).status == os::IoStatus::kDone; ++i) {
    }
}

}  // namespace

Insurance::~Insurance() { os::remove_crash_handler(this); }

void Insurance::install() {
    os::install_crash_handler(
        [](void* self, bool asked) { static_cast<Insurance*>(self)->pay(asked); }, this);
}

void Insurance::pay(bool late) const {
    board::Slot& slot = recorder_.slot();
    outbox_.take_all([&](int fd, std::string_view bytes, session::Exchange& exchange) {
        answer(fd, bytes);
        slot.ledger.answered.fetch_add(1);
        exchange.counted = false;
    });
    uint32_t used = std::min(board::kFlightsMax, slot.flights_used.load());
    for (uint32_t i = 0; i < used; ++i) {
        Flight& flight = slot.flights[i];
        FlightPhase phase = flight.phase.load(std::memory_order_acquire);
        session::Exchange* exchange = recorder_.exchange(i);
        if (flight.fd < 0 || exchange == nullptr) continue;
        if (phase == FlightPhase::kQueued &&
            relay_.send(*exchange, flight.fd, {}) == Handover::kDone) {
            slot.ledger.accepted.fetch_sub(1);
        } else if (phase == FlightPhase::kQueued || phase == FlightPhase::kRunning) {
            answer(flight.fd, page_of(flight, late).view());
            slot.ledger.refused.fetch_add(1);
            exchange->counted = false;  // the process may live on for its last steps
        }
    }
}

}  // namespace mono::engine
