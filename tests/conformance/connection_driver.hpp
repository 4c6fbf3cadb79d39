// ConnectionDriver: the same transcript as MessageDriver's, made by a whole session::Connection
// with an application that answers at once. Trailers are not in it: a connection reads them and
// keeps them from the application.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "message_driver.hpp"
#include "session/connection.hpp"
#include "session/support_test.hpp"

namespace mono::conformance {

class ConnectionDriver {
  public:
    ConnectionDriver(const DriverRules& rules, uint64_t body_memory_bytes_max);

    void feed(std::string_view piece);
    void finish();  // the client closes
    const std::vector<std::string>& events() const { return events_; }

  private:
    static session::Limits limits_from(const DriverRules& rules, uint64_t memory);

    void act(session::Next next);
    void note_request();
    void note_refusal();

    session::Limits limits_;
    session::CountingPool pool_;
    session::MemorySpills spills_;
    http::RequestIdMaker ids_{0};
    int64_t now_us_ = 1;  // 0 would mean: not yet
    session::ConnectionContext context_{limits_, pool_, spills_, ids_, now_us_};
    session::Connection connection_;
    std::vector<std::string> events_;
    bool over_ = false;
};

}  // namespace mono::conformance
