#include "python/asgi_channel.hpp"

#include <algorithm>
#include <optional>

#include "http/bounds.hpp"
#include "python/errors.hpp"

namespace mono::python {

namespace {

constexpr uint64_t kPieceBytes = 64 * 1024;  // of a whole body, in one message

// Whether nobody waits for it any more: 1 or 0; -1 with an exception set.
int is_done(const Ref& future) {
    Ref done(PyObject_CallMethod(future.get(), "done", nullptr));
    if (!done) return -1;
    return done.get() == Py_True ? 1 : 0;
}

// False with an exception set.
bool tell(const Ref& future) {
    const int done = is_done(future);
    if (done != 0) return done == 1;
    return static_cast<bool>(Ref(PyObject_CallMethod(future.get(), "set_result", "O", Py_None)));
}

}  // namespace

Answer Waiters::add(PyObject* create_future) {
    // Asking them may run Python: meanwhile they are nobody else's.
    std::vector<Ref> waiting = std::exchange(futures_, {});
    // After an exception no more is asked; it goes on below.
    std::erase_if(waiting,
                  [](const Ref& future) { return !PyErr_Occurred() && is_done(future) == 1; });
    Ref future(PyErr_Occurred() ? nullptr : PyObject_CallNoArgs(create_future));
    if (future) waiting.push_back(Ref::borrow(future.get()));
    for (Ref& other : futures_) waiting.push_back(std::move(other));
    futures_ = std::move(waiting);
    if (!future) return {};
    return {Ref(), std::move(future)};
}

// Whoever cannot be told is told with the next event, and the others now.
bool Waiters::wake() {
    std::optional<SavedError> first;
    for (Ref& future : std::exchange(futures_, {})) {
        if (tell(future)) continue;
        if (first)
            PyErr_WriteUnraisable(future.get());
        else
            first.emplace();
        futures_.push_back(std::move(future));
    }
    if (first) first->restore();
    return !first;
}

int Waiters::traverse(visitproc visit, void* arg) const {
    for (const Ref& future : futures_) Py_VISIT(future.get());
    return 0;
}

int AsgiChannel::traverse(visitproc visit, void* arg) const {
    int met = receiving_.traverse(visit, arg);
    return met != 0 ? met : sending_.traverse(visit, arg);
}

AsgiChannel::~AsgiChannel() {
    if (exchange_ != nullptr) give_back(false);
}

void AsgiChannel::give_back(bool whole) {
    session::Exchange* exchange = std::exchange(exchange_, nullptr);
    if (exchange == nullptr) return;
    exchange->user = nullptr;
    WithoutGil without;
    parts_.engine->leave_application(handle_);
    if (whole) {
        parts_.engine->finish(handle_);
    } else {
        parts_.engine->abandon(handle_);
    }
}

Answer AsgiChannel::raise_over() {
    PyErr_SetString(PyExc_RuntimeError, "send() was called after the request's end");
    return failed();
}

Ref AsgiChannel::disconnect_message() {
    Ref message(PyDict_New());
    const AsgiShared& shared = *parts_.asgi;
    bool made = message &&
                PyDict_SetItem(message.get(), shared.type.get(), shared.http_disconnect.get()) == 0;
    return made ? std::move(message) : Ref();
}

Ref AsgiChannel::next_message() {
    if (farewell_ && parts_.asgi->farewells) return disconnect_message();
    if (body_received_ || exchange_ == nullptr)
        return gone() || complete_ ? disconnect_message() : Ref();
    if (!streamed_) return next_piece();
    base::Buffer taken;
    const engine::BodyState state = parts_.engine->take_body(handle_, taken);
    const bool complete = state == engine::BodyState::kComplete;
    if (taken.empty() && !complete)
        return state == engine::BodyState::kMore ? Ref() : disconnect_message();
    body_received_ = complete;
    return body_message(
        Ref(taken.empty()
                ? Py_NewRef(parts_.asgi->empty_bytes.get())
                : PyBytes_FromStringAndSize(taken.data(), static_cast<Py_ssize_t>(taken.size()))));
}

// Of a body that is here, in memory or in a file.
Ref AsgiChannel::next_piece() {
    const uint64_t size = std::min<uint64_t>(body_size_ - body_offset_, kPieceBytes);
    Ref bytes(PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(size)));
    uint64_t read = 0;
    while (bytes && read != size) {
        const int64_t got = parts_.engine->read_body(
            handle_, body_offset_ + read, {PyBytes_AS_STRING(bytes.get()) + read, size - read});
        if (got == engine::Engine::kTooLate) return disconnect_message();
        if (got <= 0) {
            PyErr_SetString(PyExc_OSError, "the spilled request body cannot be read");
            return Ref();
        }
        read += static_cast<uint64_t>(got);
    }
    body_offset_ += read;
    body_received_ = body_offset_ == body_size_;
    return body_message(std::move(bytes));
}

Ref AsgiChannel::body_message(Ref bytes) {
    const AsgiShared& shared = *parts_.asgi;
    Ref message(PyDict_New());
    bool made = message && bytes &&
                PyDict_SetItem(message.get(), shared.type.get(), shared.http_request.get()) == 0 &&
                PyDict_SetItem(message.get(), shared.body.get(), bytes.get()) == 0 &&
                PyDict_SetItem(message.get(), shared.more_body.get(),
                               body_received_ ? Py_False : Py_True) == 0;
    return made ? std::move(message) : Ref();
}

Answer AsgiChannel::receive() {
    Ref message = next_message();
    if (message) return {std::move(message), Ref()};
    return PyErr_Occurred() ? failed() : receiving_.add(parts_.asgi->create_future.get());
}

Ref AsgiChannel::make_scope() { return make_http_scope(*parts_.asgi, *exchange_, name_); }

Ref AsgiChannel::about() const {
    if (!name_.method || !name_.path) return Ref(Py_BuildValue("(sss)", "http", "-", "-"));
    if (!is_http()) return Ref(Py_BuildValue("(ssO)", "websocket", "WEBSOCKET", name_.path.get()));
    return Ref(Py_BuildValue("(sOO)", "http", name_.method.get(), name_.path.get()));
}

// The runner asks before anybody else has the exchange, and so it lives while its scope is made.
Ref AsgiChannel::scope() {
    if (!std::exchange(scope_given_, true)) return make_scope();
    PyErr_SetString(PyExc_RuntimeError, "the scope was given out already");
    return Ref();
}

Answer AsgiChannel::raise_gone() const {
    PyErr_SetString(parts_.state.client_disconnected, "the client has gone");
    return failed();
}

bool AsgiChannel::on_event(engine::EventKind kind) {
    farewell_ |= kind == engine::EventKind::kFarewell;
    bool room = kind != engine::EventKind::kBody && kind != engine::EventKind::kFarewell;
    bool message = kind != engine::EventKind::kRoom;
    bool told = !room || sending_.wake();
    if (!message) return told;
    std::optional<SavedError> first;
    if (!told) first.emplace();
    told = receiving_.wake();
    if (!first) return told;
    if (!told) PyErr_WriteUnraisable(nullptr);
    first->restore();
    return false;
}

Answer AsgiChannel::send(PyObject* message) {
    if (!PyDict_Check(message)) {
        PyErr_SetString(PyExc_TypeError, "an ASGI message must be a dict");
        return failed();
    }
    const AsgiShared& shared = *parts_.asgi;
    PyObject* type = PyDict_GetItemWithError(message, shared.type.get());
    if (type == nullptr) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_RuntimeError, "an ASGI message needs a type");
        return failed();
    }
    auto is = [type](const Ref& name) {
        return type == name.get() || PyUnicode_Compare(type, name.get()) == 0;
    };
    if (is(shared.response_body)) return body(message);
    if (is(shared.response_start)) return start(message);
    if (is(shared.response_informational)) return informational(message);
    if (PyErr_Occurred()) return failed();
    PyErr_Format(PyExc_RuntimeError, "the message type %R is unknown here", type);
    return failed();
}

Answer AsgiChannel::start(PyObject* message) {
    if (started_) {
        PyErr_SetString(PyExc_RuntimeError, "http.response.start was sent already");
        return failed();
    }
    if (exchange_ == nullptr) return raise_over();
    // Filled apart, for that may run Python: but in the memory that it has.
    http::ResponseHead head = std::move(exchange_->response.head);
    head.clear();
    if (!fill_head_from_message(*parts_.asgi, message, head)) return failed();
    if (exchange_ == nullptr) return raise_over();
    if (!started_) exchange_->response.head = std::move(head);
    started_ = true;
    return gone() ? raise_gone() : done();
}

Answer AsgiChannel::informational(PyObject* message) {
    if (exchange_ == nullptr) return raise_over();
    if (started_) {
        PyErr_SetString(PyExc_RuntimeError, "an interim response must come before the response");
        return failed();
    }
    http::ResponseHead head;
    if (!fill_head_from_message(*parts_.asgi, message, head)) return failed();
    std::string text = "HTTP/1.1 " + std::string(head.status_line()) + "\r\n" +
                       std::string(head.fields()) + "\r\n";
    switch (parts_.engine->write_interim(handle_, text)) {
        case engine::WriteStatus::kOver:
            return raise_over();
        case engine::WriteStatus::kGone:
            return raise_gone();
        case engine::WriteStatus::kDone:
        case engine::WriteStatus::kKept:
            break;
    }
    return done();
}

Answer AsgiChannel::body(PyObject* message) {
    if (!started_ || complete_) {
        PyErr_SetString(PyExc_RuntimeError, complete_ ? "the response is complete already"
                                                      : "http.response.start was not sent");
        return failed();
    }
    const AsgiShared& shared = *parts_.asgi;
    Ref more = Ref::borrow(PyDict_GetItemWithError(message, shared.more_body.get()));
    bool last = !more || PyObject_IsTrue(more.get()) == 0;
    PyObject* given = PyDict_GetItemWithError(message, shared.body.get());
    if (PyErr_Occurred()) return failed();
    Ref bytes = Ref::borrow(given == nullptr ? shared.empty_bytes.get() : given);
    if (!PyBytes_Check(bytes.get())) bytes.reset(PyBytes_FromObject(bytes.get()));
    if (!bytes) return failed();
    engine::Piece piece;
    piece.bytes = {PyBytes_AS_STRING(bytes.get()),
                   static_cast<size_t>(PyBytes_GET_SIZE(bytes.get()))};
    const size_t size = piece.bytes.size();
    if (size > http::kCopiedBytesMax) piece.owner = bytes.get();
    const int64_t known = last ? static_cast<int64_t>(size) : -1;  // if it is all
    begun_ = true;
    engine::WriteStatus status;
    {
        WithoutGil without;
        status = parts_.engine->write(handle_, piece, known, last);
    }
    if (status == engine::WriteStatus::kKept) bytes.release();
    if (status == engine::WriteStatus::kOver) return raise_over();
    const bool lost = status == engine::WriteStatus::kGone && !(size == 0 && delivered());
    return after_write(last, lost);
}

Answer AsgiChannel::after_write(bool last, bool lost) {
    if (last) {
        complete_ = true;
        give_back(true);
        if (!receiving_.wake()) return failed();
    }
    if (lost) return raise_gone();
    return last ? done() : wait_for_room();
}

// At once, or later while the reader is slow.
Answer AsgiChannel::wait_for_room() {
    if (parts_.engine->has_room(handle_, session::kOutputHighBytes)) return done();
    return sending_.add(parts_.asgi->create_future.get());
}

bool AsgiChannel::close(bool failed) {
    const bool lost = exchange_ != nullptr && gone();
    const bool done = finish(failed) || lost;
    // Tasks that the application left behind.
    if (!receiving_.wake()) PyErr_WriteUnraisable(nullptr);
    if (!sending_.wake()) PyErr_WriteUnraisable(nullptr);
    return done;
}

bool AsgiChannel::finish(bool failed) {
    if (exchange_ == nullptr) return true;
    if (started_ && !begun_ && (!failed || gone())) {
        // A start without a body: an empty one was meant. Or it was for nobody, and is logged.
        parts_.engine->write(handle_, {}, 0, true);
        give_back(true);
        return true;
    }
    // Told by us, or by what it watches itself, perhaps before our event has come here.
    const bool told = parts_.engine->drain_stage() != engine::DrainStage::kEarly;
    if (begun_ && !failed && (farewell_ || (told && engine::is_endless(*exchange_)))) {
        parts_.engine->write(handle_, {}, -1, true);
        const bool whole = exchange_->response.complete();
        give_back(whole);
        return whole;
    }
    if (!begun_) parts_.engine->write_error(handle_, 500, "");
    give_back(!begun_);
    return false;
}

}  // namespace mono::python
