#include "engine/answer_calls.hpp"

#include <string>
#include <utility>

#include "engine/core.hpp"
#include "http/bounds.hpp"
#include "http/response_head.hpp"
#include "os/files.hpp"
#include "os/socket.hpp"
#include "session/server_page.hpp"

namespace mono::engine {

using session::Exchange;

WriteStatus AnswerCalls::write(Handle handle, Piece piece, int64_t known_length, bool last) {
    Lock lock(core_.mutex);
    if (core_.ready.empty()) core_.outgoing.flush_outbox();  // the last of a run
    Exchange* exchange = core_.outgoing.wait_for_room(lock, handle);
    if (exchange == nullptr) return WriteStatus::kOver;
    return core_.answers.write_piece(*exchange, piece, known_length, last);
}

std::optional<WriteStatus> AnswerCalls::try_write(Handle handle, Piece piece, int64_t known_length,
                                                  bool last) {
    Lock lock(core_.mutex, std::try_to_lock);
    bool small = piece.bytes.size() <= http::kCopiedBytesMax;
    if (!lock || !small) return std::nullopt;
    Exchange* exchange = core_.exchanges.find(handle);
    if (exchange == nullptr) return WriteStatus::kOver;
    if (!core_.outgoing.may_box(*exchange)) return std::nullopt;
    return core_.answers.write_piece(*exchange, piece, known_length, last);
}

WriteStatus AnswerCalls::write_file(Handle handle, int fd, uint64_t offset, uint64_t length) {
    os::Fd file(fd);
    Lock lock(core_.mutex);
    Exchange* exchange = core_.exchanges.find(handle);
    if (exchange == nullptr) return WriteStatus::kOver;
    return core_.answers.write_file(*exchange, std::move(file), offset, length);
}

WriteStatus AnswerCalls::write_interim(Handle handle, std::string_view head) {
    Lock lock(core_.mutex);
    const Exchange* exchange = core_.exchanges.find(handle);
    if (exchange == nullptr) return WriteStatus::kOver;
    Link* link = exchange->link;
    if (link == nullptr) return WriteStatus::kGone;
    if (exchange->response.begun() || !exchange->head.at_least_1_1()) return WriteStatus::kDone;
    link->connection.out.append_copy(head);
    return core_.loop.push(*link) ? WriteStatus::kDone : WriteStatus::kGone;
}

void AnswerCalls::write_error(Handle handle, uint16_t status, std::string_view detail) {
    Lock lock(core_.mutex);
    Exchange* exchange = core_.exchanges.find(handle);
    if (exchange == nullptr || exchange->response.begun()) return;
    core_.answers.put_page(*exchange, status,
                           session::server_page(core_.options.limits, *exchange, status, detail));
}

void AnswerCalls::write_page(Handle handle, uint16_t status, std::string_view page) {
    Lock lock(core_.mutex);
    Exchange* exchange = core_.exchanges.find(handle);
    if (exchange == nullptr) return;
    std::string named(page);
    const std::string& name = core_.options.limits.request_id_header;
    if (!name.empty()) http::insert_field(named, name, exchange->request_id());
    core_.answers.put_page(*exchange, status, named);
}

bool AnswerCalls::is_answered(Handle handle) {
    Lock lock(core_.mutex);
    const Exchange* exchange = core_.exchanges.find(handle);
    return exchange == nullptr || (exchange->response.exhausted() && exchange->response.complete());
}

void AnswerCalls::give_away(Handle handle) {
    Lock lock(core_.mutex);
    Exchange* exchange = core_.exchanges.find(handle);
    if (exchange == nullptr) return;
    Link* link = exchange->link;
    if (link != nullptr && !link->blocked && !core_.loop.push(*link)) link = nullptr;
    if (link != nullptr && std::exchange(link->delimited, false))
        link->transport.reset_on_close(false);
    exchange->response.give_away();
    core_.recorder.respond(*exchange);
    core_.deadlines.cancel(*exchange);
}

void AnswerCalls::note_status(Handle handle, std::string_view line) {
    Lock lock(core_.mutex);
    Exchange* exchange = core_.exchanges.find(handle);
    if (exchange == nullptr) return;
    exchange->response.head.clear();
    [[maybe_unused]] http::HeadFault fault = exchange->response.head.set_status(line);
}

bool AnswerCalls::copy_answer(Handle handle, std::string& line, std::string& fields,
                              uint64_t& body_bytes) {
    Lock lock(core_.mutex);
    const Exchange* exchange = core_.exchanges.find(handle);
    if (exchange == nullptr) return false;
    line = exchange->response.head.status_line();
    fields = exchange->response.head.fields();
    body_bytes = exchange->response.body_bytes();
    return true;
}

Presence AnswerCalls::presence(Handle handle) {
    Lock lock(core_.mutex, std::try_to_lock);
    if (!lock) return Presence::kHere;
    const Exchange* exchange = core_.exchanges.find(handle);
    if (exchange == nullptr || exchange->link == nullptr) return Presence::kGone;
    return exchange->link->eof ? Presence::kSentFin : Presence::kHere;
}

bool AnswerCalls::gone(Handle handle) {
    Lock lock(core_.mutex);
    const Exchange* exchange = core_.exchanges.find(handle);
    return exchange == nullptr || exchange->link == nullptr;
}

int AnswerCalls::share_socket(Handle handle, std::string* ahead) {
    Lock lock(core_.mutex);
    core_.outgoing.flush_outbox();
    Exchange* exchange = core_.exchanges.find(handle);
    Link* link = exchange == nullptr ? nullptr : exchange->link;
    if (link == nullptr) return -1;
    if (!link->blocked && !core_.loop.push(*link)) return -1;
    exchange->head.keep_alive = false;
    exchange->response.forbid_keep_alive();
    if (ahead != nullptr) *ahead = link->connection.pipelined();
    const int fd = link->transport.bare_fd();
    return fd < 0 ? -1 : os::duplicate(fd).release();
}

void AnswerCalls::finish(Handle handle) {
    Lock lock(core_.mutex);
    Exchange* exchange = core_.exchanges.find(handle);
    if (exchange == nullptr) return;
    core_.answers.note_mismatch(*exchange);
    core_.answers.give_back(*exchange, exchange->response.complete());
}

bool AnswerCalls::try_finish(Handle handle) {
    Lock lock(core_.mutex, std::try_to_lock);
    if (!lock || core_.outbox.empty()) return false;
    Exchange* exchange = core_.exchanges.find(handle);
    if (exchange == nullptr || exchange->link == nullptr || !exchange->link->boxed) return false;
    core_.answers.note_mismatch(*exchange);
    core_.answers.give_back(*exchange, exchange->response.complete());
    return true;
}

void AnswerCalls::abandon(Handle handle) {
    Lock lock(core_.mutex);
    Exchange* exchange = core_.exchanges.find(handle);
    if (exchange == nullptr) return;
    exchange->response.forbid_keep_alive();
    core_.answers.give_back(*exchange, exchange->response.whole());
}

uint64_t AnswerCalls::unsent(Handle handle) {
    Lock lock(core_.mutex);
    const session::Exchange* exchange = core_.exchanges.find(handle);
    const Link* link = exchange == nullptr ? nullptr : exchange->link;
    return link == nullptr ? 0 : link->connection.out.bytes();
}

bool AnswerCalls::has_room(Handle handle, uint64_t bytes_max) {
    Lock lock(core_.mutex);
    session::Exchange* exchange = core_.exchanges.find(handle);
    if (exchange == nullptr || exchange->link == nullptr) return true;
    exchange->wants_room = exchange->link->connection.out.bytes() > bytes_max;
    return !exchange->wants_room;
}

void* AnswerCalls::user_of(Handle handle) {
    Lock lock(core_.mutex);
    const session::Exchange* exchange = core_.exchanges.find(handle);
    return exchange == nullptr ? nullptr : exchange->user;
}

std::string AnswerCalls::request_id_of(Handle handle) {
    Lock lock(core_.mutex);
    const session::Exchange* exchange = core_.exchanges.find(handle);
    return std::string(exchange == nullptr ? "-" : exchange->request_id());
}

}  // namespace mono::engine
