// AnswerCalls: what a runner may say and ask of a response and of its client. Each call takes the
// engine's lock; with a handle of a request that is over it reaches nobody.
// Call without the GIL where it can be helped: most make system calls.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/pools.hpp"
#include "engine/wire.hpp"
#include "http/response_head.hpp"

namespace mono::engine {

struct Core;

// What is known of the client of a running request. After its FIN it may still be reading.
enum class Presence : uint8_t { kHere, kSentFin, kGone };

class AnswerCalls {
  public:
    // `known_length`: of the whole body where the caller knows it, else -1. `last` ends the body.
    WriteStatus write(Handle handle, Piece piece, int64_t known_length, bool last);
    // The same for who holds the GIL, where the answer can wait in the outbox: neither waits nor,
    // as a rule, makes a system call. nullopt: not now, and nothing has happened.
    std::optional<WriteStatus> try_write(Handle handle, Piece piece, int64_t known_length,
                                         bool last);
    // Sends a range of a file as the whole rest of the body; takes over `fd` in every case.
    WriteStatus write_file(Handle handle, int fd, uint64_t offset, uint64_t length);
    // An interim response (1xx), complete with its empty line.
    WriteStatus write_interim(Handle handle, std::string_view head);
    // The server's own page, head and all, instead of a response; the connection ends with it.
    void write_page(Handle handle, uint16_t status, std::string_view page);
    // Replaces a response that has not begun by the server's own page and ends the connection.
    void write_error(Handle handle, uint16_t status, std::string_view detail);
    // The application is done: the exchange goes back; the connection goes on or closes.
    void finish(Handle handle);
    // The same for who holds the GIL. False: not now.
    bool try_finish(Handle handle);
    // The application fell. The connection ends: cut, unless all of the response had been given,
    // and reset where nothing else would tell that it is not whole.
    void abandon(Handle handle);

    // Every byte of it has been given, whatever the application still does.
    bool is_answered(Handle handle);
    // The head as it was sent, and the bytes of body. False: the request is over.
    bool copy_answer(Handle handle, std::string& line, std::string& fields, uint64_t& body_bytes);
    // Bytes of output that the kernel has not taken yet.
    uint64_t unsent(Handle handle);
    // Nested: no more than `bytes_max` are unsent. False: an event tells when there are few.
    bool has_room(Handle handle, uint64_t bytes_max);
    // For who writes nothing and so hears nothing of its client. Never waits for the lock.
    Presence presence(Handle handle);
    // The client has left, or the request is over.
    bool gone(Handle handle);

    // A duplicate of the client's descriptor, the caller's; the connection ends with this request.
    // -1: the client has gone. `ahead`: what was read behind the request already.
    int share_socket(Handle handle, std::string* ahead = nullptr);
    // From now on the application speaks on it, and nobody else: no page, no deadline, no
    // lingering.
    void give_away(Handle handle);
    // The status that it told its client by itself, for the logs; what is none is left out.
    void note_status(Handle handle, std::string_view line);

    // The runner's object for this exchange (Exchange::user); nullptr: none, or the request is
    // over.
    void* user_of(Handle handle);
    // "-" when the request is over.
    std::string request_id_of(Handle handle);

  protected:
    explicit AnswerCalls(Core& core) : core_(core) {}

  private:
    Core& core_;
};

}  // namespace mono::engine
