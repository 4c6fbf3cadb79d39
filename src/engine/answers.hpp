// Answers: the way of a response: from the application's pieces to the socket, tried at once; what
// the kernel does not take goes into the connection's chain. And the end of a request: its
// exchange, the ledger, the access log. Owner: the Core, under its lock.
#pragma once

#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>

#include "base/buffer.hpp"
#include "engine/link.hpp"
#include "engine/recorder.hpp"
#include "engine/seldom.hpp"
#include "engine/wire.hpp"
#include "session/exchange.hpp"

namespace mono::engine {

struct Core;

class Answers {
  public:
    explicit Answers(Core& core) : core_(core) {}

    WriteStatus write_piece(session::Exchange& exchange, const Piece& piece, int64_t known_length,
                            bool last);
    WriteStatus write_file(session::Exchange& exchange, os::Fd file, uint64_t offset,
                           uint64_t length);
    // The server's own page, head and all, in place of what the application would say.
    void put_page(session::Exchange& exchange, uint16_t status, std::string_view page);
    // For Options' readiness_path; it leaves in the same turn.
    void answer_probe(Link& link);

    // Where the application's answer was not what its head had promised.
    void note_mismatch(const session::Exchange& exchange);
    // The application is done. `whole`: the client can tell that it has all.
    void give_back(session::Exchange& exchange, bool whole);
    // An exchange whose connection goes on without it, or has gone.
    void put_away(session::Exchange& exchange, Ending ending);
    void note_finished(Link& link, bool whole);
    void note_refusal(Link& link);

  private:
    session::ResponseContext response_context();
    void add_own_fields(session::Exchange& exchange);
    void begin_response(session::Exchange& exchange, const session::ResponseContext& context,
                        int64_t known_length);
    static void guard_end(const session::Exchange& exchange);
    char* buffer(size_t bytes);
    void fill_wire(session::Exchange& exchange, const Piece& piece, int64_t known_length, bool last,
                   Wire& wire);
    WriteStatus transmit(Link& link, const Wire& wire, void* owner);
    WriteStatus keep(Link& link, const Wire& wire, size_t sent, void* owner);
    void log_access(const session::Exchange& exchange, uint16_t status, uint64_t body_bytes,
                    http::Error error = http::Error::kNone);

    Core& core_;
    base::Buffer buffer_;  // what send(2) gets next
    time_t date_second_ = 0;
    std::string date_;
    Seldom other_protocol_;
};

}  // namespace mono::engine
