#include "python/asgi_channel.hpp"

namespace mono::python {

AsgiChannel::~AsgiChannel() {
    if (exchange_ != nullptr) give_back(false);
}

void AsgiChannel::give_back(bool whole) {
    session::Exchange* exchange = std::exchange(exchange_, nullptr);
    if (exchange == nullptr) return;
    exchange->user = nullptr;
    WithoutGil without;
    parts_.engine->leave_application(*exchange);
    if (whole) {
        parts_.engine->finish(*exchange);
    } else {
        parts_.engine->abandon(*exchange);
    }
}

Ref AsgiChannel::disconnect_message() {
    Ref message(PyDict_New());
    const AsgiShared& shared = *parts_.asgi;
    bool made = message &&
                PyDict_SetItem(message.get(), shared.type.get(), shared.http_disconnect.get()) == 0;
    return made ? std::move(message) : Ref();
}

// What receive() can say now; empty without an exception: nothing yet.
Ref AsgiChannel::next_message() {
    if (body_received_ || exchange_ == nullptr)
        return gone() || complete_ ? disconnect_message() : Ref();
    base::Buffer taken;
    if (exchange_->streamed) parts_.engine->take_body(*exchange_, taken);
    bool complete = exchange_->body_complete && exchange_->incoming.empty();
    if (taken.empty() && !complete) return gone() ? disconnect_message() : Ref();
    const AsgiShared& shared = *parts_.asgi;
    body_received_ = complete;
    Ref bytes(taken.empty()
                  ? Py_NewRef(shared.empty_bytes.get())
                  : PyBytes_FromStringAndSize(taken.data(), static_cast<Py_ssize_t>(taken.size())));
    Ref message(PyDict_New());
    bool made =
        message && bytes &&
        PyDict_SetItem(message.get(), shared.type.get(), shared.http_request.get()) == 0 &&
        PyDict_SetItem(message.get(), shared.body.get(), bytes.get()) == 0 &&
        PyDict_SetItem(message.get(), shared.more_body.get(), complete ? Py_False : Py_True) == 0;
    return made ? std::move(message) : Ref();
}

PyObject* AsgiChannel::receive() { return wait_for_message(); }

Ref AsgiChannel::scope() const { return make_http_scope(*parts_.asgi, *exchange_); }

PyObject* AsgiChannel::wait_for_message() {
    Ref message = next_message();
    if (message) return make_ready(parts_.state.ready, std::move(message));
    if (PyErr_Occurred()) return nullptr;
    receiving_.reset(PyObject_CallNoArgs(parts_.asgi->create_future.get()));
    return receiving_ ? Py_NewRef(receiving_.get()) : nullptr;
}

// Resolves a future that may have been cancelled meanwhile.
bool AsgiChannel::wake(Ref& future, Ref value) {
    Ref waiting = std::move(future);
    Ref done(PyObject_CallMethod(waiting.get(), "done", nullptr));
    if (!done) return false;
    if (done.get() == Py_True) return true;
    Ref set(PyObject_CallMethod(waiting.get(), "set_result", "O", value.get()));
    return static_cast<bool>(set);
}

bool AsgiChannel::on_event(engine::EventKind kind) {
    if (sending_ && kind != engine::EventKind::kBody && !wake(sending_, Ref::borrow(Py_None)))
        return false;
    if (!receiving_ || kind == engine::EventKind::kRoom) return true;
    Ref message = next_message();
    if (!message) return !PyErr_Occurred();
    return wake(receiving_, std::move(message));
}

PyObject* AsgiChannel::send(PyObject* message) {
    if (!PyDict_Check(message)) {
        PyErr_SetString(PyExc_TypeError, "an ASGI message must be a dict");
        return nullptr;
    }
    const AsgiShared& shared = *parts_.asgi;
    PyObject* type = PyDict_GetItemWithError(message, shared.type.get());
    if (type == nullptr) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_RuntimeError, "an ASGI message needs a type");
        return nullptr;
    }
    auto is = [type](const Ref& name) {
        return type == name.get() || PyUnicode_Compare(type, name.get()) == 0;
    };
    if (is(shared.response_body)) return body(message);
    if (is(shared.response_start)) return start(message);
    if (is(shared.response_informational)) return informational(message);
    if (PyErr_Occurred()) return nullptr;
    PyErr_Format(PyExc_RuntimeError, "the message type %R is unknown here", type);
    return nullptr;
}

PyObject* AsgiChannel::start(PyObject* message) {
    if (started_) {
        PyErr_SetString(PyExc_RuntimeError, "http.response.start was sent already");
        return nullptr;
    }
    if (exchange_ == nullptr) return Py_NewRef(parts_.asgi->ready_none.get());
    if (!fill_head_from_message(*parts_.asgi, message, exchange_->response.head)) {
        exchange_->response.head.clear();
        return nullptr;
    }
    started_ = true;
    return Py_NewRef(parts_.asgi->ready_none.get());
}

PyObject* AsgiChannel::informational(PyObject* message) {
    if (started_) {
        PyErr_SetString(PyExc_RuntimeError, "an interim response must come before the response");
        return nullptr;
    }
    http::ResponseHead head;
    if (!fill_head_from_message(*parts_.asgi, message, head)) return nullptr;
    if (!gone()) {
        std::string text = "HTTP/1.1 " + std::string(head.status_line()) + "\r\n" +
                           std::string(head.fields()) + "\r\n";
        parts_.engine->write_interim(*exchange_, text);
    }
    return Py_NewRef(parts_.asgi->ready_none.get());
}

PyObject* AsgiChannel::body(PyObject* message) {
    if (!started_ || complete_) {
        PyErr_SetString(PyExc_RuntimeError, complete_ ? "the response is complete already"
                                                      : "http.response.start was not sent");
        return nullptr;
    }
    const AsgiShared& shared = *parts_.asgi;
    PyObject* more = PyDict_GetItemWithError(message, shared.more_body.get());
    bool last = more == nullptr || PyObject_IsTrue(more) == 0;
    PyObject* given = PyDict_GetItemWithError(message, shared.body.get());
    if (PyErr_Occurred()) return nullptr;
    Ref bytes = Ref::borrow(given == nullptr ? shared.empty_bytes.get() : given);
    if (!PyBytes_Check(bytes.get())) bytes.reset(PyBytes_FromObject(bytes.get()));
    if (!bytes) return nullptr;
    if (exchange_ == nullptr) return Py_NewRef(shared.ready_none.get());
    engine::Piece piece;
    piece.bytes = {PyBytes_AS_STRING(bytes.get()),
                   static_cast<size_t>(PyBytes_GET_SIZE(bytes.get()))};
    if (piece.bytes.size() > session::kCopiedBodyBytesMax) piece.owner = bytes.get();
    int64_t known =
        last && !exchange_->response.begun() ? static_cast<int64_t>(piece.bytes.size()) : -1;
    engine::WriteStatus status;
    {
        WithoutGil without;
        status = parts_.engine->write(*exchange_, piece, known, last);
    }
    if (status == engine::WriteStatus::kKept) bytes.release();
    return after_write(last);
}

PyObject* AsgiChannel::after_write(bool last) {
    const AsgiShared& shared = *parts_.asgi;
    if (last) {
        complete_ = true;
        give_back(true);
        if (receiving_ && !wake(receiving_, disconnect_message())) return nullptr;
        return Py_NewRef(shared.ready_none.get());
    }
    return wait_for_room();
}

// A ready awaitable, or a Future while the reader is slow.
PyObject* AsgiChannel::wait_for_room() {
    const AsgiShared& shared = *parts_.asgi;
    if (parts_.engine->unsent(*exchange_) <= session::kOutputHighBytes)
        return Py_NewRef(shared.ready_none.get());
    exchange_->wants_room = true;
    sending_.reset(PyObject_CallNoArgs(shared.create_future.get()));
    return sending_ ? Py_NewRef(sending_.get()) : nullptr;
}

bool AsgiChannel::close(bool failed) {
    if (exchange_ == nullptr) return true;
    if (started_ && !exchange_->response.begun() && !failed) {
        // A start without a body: an empty one was meant.
        parts_.engine->write(*exchange_, {}, 0, true);
        give_back(true);
        return true;
    }
    bool begun = exchange_->response.begun();
    if (!begun) parts_.engine->write_error(*exchange_, 500, "");
    give_back(!begun);
    return false;
}

}  // namespace mono::python
