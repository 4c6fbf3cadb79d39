#include "python/wsgi_call.hpp"

#include "base/clock.hpp"
#include "python/errors.hpp"
#include "python/file_wrapper.hpp"
#include "python/forked_child.hpp"

namespace mono::python {
namespace {

bool check_bytes(PyObject* item) {
    if (PyBytes_Check(item)) return true;
    PyErr_Format(PyExc_TypeError, "the application must yield bytes, not %.100s",
                 Py_TYPE(item)->tp_name);
    return false;
}

}  // namespace

bool WsgiCall::require_head(const session::Exchange& exchange) {
    if (!exchange.response.head.empty()) return true;
    PyErr_SetString(PyExc_AssertionError,
                    "the application returned a body without having called start_response");
    return false;
}

bool WsgiCall::end_body(session::Exchange& exchange) {
    if (objects_.socket_used() && exchange.response.head.empty()) return true;  // it did it all
    if (!require_head(exchange)) return false;
    if (exchange.response.exhausted() && exchange.response.complete()) return true;
    int64_t known = exchange.response.begun() ? -1 : 0;
    return send_piece(objects_.write(), nullptr, known, true);
}

bool WsgiCall::wait_for_room() {
    if (callbacks_.wait == nullptr || handle_ == nullptr) return true;
    session::Exchange& exchange = *objects_.write()->exchange;
    while (engine_.unsent(exchange) > session::kOutputMemoryBytesMax) {
        exchange.wants_room = true;
        Ref waited(PyObject_CallOneArg(callbacks_.wait, handle_));
        if (!waited) return false;
    }
    return true;
}

void WsgiCall::stream_input(session::Exchange& exchange) {
    BodyReader::Options options{engine_, state_.client_disconnected};
    if (handle_ != nullptr) {
        options.wait = callbacks_.wait;
        options.handle = handle_;
    }
    objects_.stream_input(std::make_shared<BodyReader>(options, engine_.lease_body(exchange)));
}

// PEP 3333, "Handling the Content-Length Header": of one item the server knows the length.
bool WsgiCall::send_sequence(session::Exchange& exchange, PyObject* result) {
    Py_ssize_t count = PySequence_Fast_GET_SIZE(result);
    for (Py_ssize_t i = 0; i < count && !objects_.write()->gone; ++i) {
        Ref item = item_at(result, i);
        if (!item) return end_body(exchange);  // another thread has shortened the list
        if (!check_bytes(item.get()) || !require_head(exchange)) return false;
        bool last = i + 1 == count;
        if (PyBytes_GET_SIZE(item.get()) == 0 && !last) continue;
        int64_t known = count == 1 ? PyBytes_GET_SIZE(item.get()) : -1;
        if (!send_piece(objects_.write(), item.get(), known, last)) return false;
        if (!last && !wait_for_room()) return false;
    }
    return count != 0 || end_body(exchange);
}

bool WsgiCall::send_iterable(session::Exchange& exchange, PyObject* result) {
    Ref iterator(PyObject_GetIter(result));
    if (!iterator) return false;
    while (true) {
        Ref item(PyIter_Next(iterator.get()));
        if (!item) {
            if (PyErr_Occurred()) return false;
            return end_body(exchange);
        }
        if (!check_bytes(item.get()) || !require_head(exchange)) return false;
        if (PyBytes_GET_SIZE(item.get()) == 0) {  // PEP 3333: no head before a byte
            if (client_left(objects_.write())) return true;
            continue;
        }
        if (!send_piece(objects_.write(), item.get(), -1, false)) return false;
        if (!wait_for_room()) return false;
        if (objects_.write()->gone) return true;
    }
}

bool WsgiCall::send_file(session::Exchange& exchange, PyObject* result, bool& sent) {
    sent = false;
    if (!require_head(exchange)) return true;  // iterating may still call start_response
    FileRange range = file_range(reinterpret_cast<const FileWrapperObject*>(result));
    if (range.fd < 0) return true;
    sent = true;
    engine::WriteStatus status;
    {
        WithoutGil without;
        status = engine_.write_file(exchange, range.fd, range.offset, range.length);
    }
    if (status == engine::WriteStatus::kGone) objects_.write()->gone = true;
    return true;
}

bool WsgiCall::send_result(session::Exchange& exchange, PyObject* result) {
    if (PyList_CheckExact(result) || PyTuple_CheckExact(result))
        return send_sequence(exchange, result);
    if (Py_TYPE(result) == state_.file_wrapper && !exchange.response.head.empty() &&
        engine_.sendfile_enabled()) {
        bool sent = false;
        if (!send_file(exchange, result, sent)) return false;
        if (sent) return true;
    }
    if (PyBytes_Check(result) || PyUnicode_Check(result)) {
        // Iterating bytes would give numbers, str single characters: a mistake in either case.
        PyErr_Format(PyExc_TypeError,
                     "the application must return an iterable of bytes, not %.100s itself",
                     Py_TYPE(result)->tp_name);
        return false;
    }
    return send_iterable(exchange, result);
}

// PEP 3333: called once, whatever happened before; an exception of its own never hides that one.
bool WsgiCall::close(PyObject* result) {
    if (PyList_CheckExact(result) || PyTuple_CheckExact(result)) return !PyErr_Occurred();
    SavedError before;
    Ref method(PyObject_GetAttrString(result, "close"));
    if (!method) {
        if (PyErr_ExceptionMatches(PyExc_AttributeError)) PyErr_Clear();
    } else {
        Ref closed(PyObject_CallNoArgs(method.get()));
    }
    if (!before) return !PyErr_Occurred();
    if (PyErr_Occurred()) PyErr_WriteUnraisable(result);
    before.restore();
    return false;
}

bool WsgiCall::respond(PyObject* application, session::Exchange& exchange, PyObject* environ) {
    PyObject* arguments[] = {nullptr, environ, objects_.start_response()};
    Ref result(PyObject_Vectorcall(application, arguments + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET,
                                   nullptr));
    if (!result) return false;
    send_result(exchange, result.get());
    return close(result.get());
}

// An interruption that was asked for and has not come yet would strike who is next. An application
// that goes on in spite of one ends here as well: who tells of it hears of that.
void WsgiCall::leave(session::Exchange& exchange, bool done) {
    if (!engine_.leave_application(exchange)) return;
    if (handle_ == nullptr) PyThreadState_SetAsyncExc(exchange.thread, nullptr);
    if (!done) return;
    Ref told(PyObject_CallFunction(callbacks_.handle_error, "Osss", Py_None, "", "", ""));
    if (!told) PyErr_WriteUnraisable(callbacks_.handle_error);
}

bool WsgiCall::run(PyObject* application, session::Exchange& exchange) {
    if (!engine_.enter_application(exchange)) {
        WithoutGil without;
        engine_.finish(exchange);
        return true;
    }
    Ref environ;
    bool done = false;
    if (objects_.attach(engine_, exchange, *this)) {
        if (exchange.streamed) stream_input(exchange);
        environ = environs_.make(exchange, engine_.limits().script_name, objects_);
    }
    if (environ) {
        Ref before;
        if (callbacks_.before != nullptr)
            before.reset(PyObject_CallOneArg(callbacks_.before, environ.get()));
        if (callbacks_.before == nullptr || before)
            done = respond(application, exchange, environ.get());
    }
    if (engine_.foreign()) leave_forked_child();
    leave(exchange, done);
    bool go_on = done || fail(exchange);
    SavedError ending;  // SystemExit on its way out
    if (callbacks_.after != nullptr && environ) call_after(exchange, environ.get());
    bool left = objects_.write() != nullptr && objects_.write()->gone;
    bool whole = !left && (done || !exchange.response.begun());
    note_mismatch(exchange);
    objects_.detach();
    if (!whole || !engine_.try_finish(exchange)) {
        WithoutGil without;
        if (whole) {
            engine_.finish(exchange);
        } else {
            engine_.abandon(exchange);
        }
    }
    if (ending) ending.restore();
    return go_on;
}

// An exception ended the request. Answers 500 where nothing was sent; true: the worker goes on.
bool WsgiCall::fail(session::Exchange& exchange) {
    bool ends_worker =
        PyErr_ExceptionMatches(PyExc_SystemExit) || PyErr_ExceptionMatches(PyExc_KeyboardInterrupt);
    SavedError error;
    // Its body broke off, or was refused, which the engine has said.
    bool cut = exchange.streamed && error.matches(state_.client_disconnected);
    bool client_left = cut || (objects_.write() != nullptr && objects_.write()->gone);
    if (!exchange.response.begun()) {
        WithoutGil without;
        engine_.write_error(exchange, cut ? 400 : 500, "");
    }
    if (!(client_left && error.matches(PyExc_OSError))) {
        std::string_view id = exchange.request_id();
        Ref logged(PyObject_CallFunction(callbacks_.handle_error, "Os#s#s#", error.value(),
                                         exchange.text(exchange.head.method).data(),
                                         static_cast<Py_ssize_t>(exchange.head.method.length),
                                         exchange.text(exchange.head.target).data(),
                                         static_cast<Py_ssize_t>(exchange.head.target.length),
                                         id.data(), static_cast<Py_ssize_t>(id.size())));
        if (!logged) PyErr_WriteUnraisable(callbacks_.handle_error);
    }
    if (!ends_worker) return true;
    error.restore();
    return false;
}

void WsgiCall::note_mismatch(const session::Exchange& exchange) {
    if (!exchange.response.begun() || objects_.write()->gone) return;
    uint64_t owed = exchange.response.owed();
    std::string what;
    if (owed != 0) {
        what = "gave " + std::to_string(owed) +
               " bytes less than its Content-Length; the connection is closed";
    } else if (exchange.response.dropped() && !exchange.response.no_body()) {
        what = exchange.response.has_length()
                   ? "gave more bytes than its Content-Length; they were dropped"
                   : "gave bytes behind its end; they were dropped";
    } else if (exchange.response.dropped() && !exchange.head.head_method) {
        what = "gave a body with a status that has none; it was dropped";
    } else {
        return;
    }
    engine_.log(engine::Severity::kWarning,
                "The application's answer to " + std::string(exchange.text(exchange.head.method)) +
                    " " + std::string(exchange.text(exchange.head.target)) + " " + what);
}

void WsgiCall::call_after(const session::Exchange& exchange, PyObject* environ) {
    const http::ResponseHead& head = exchange.response.head;
    int64_t duration_us = base::monotonic_us() - exchange.started_us;
    std::string_view fields = head.fields();
    Ref text = latin1_text(head.status_line());
    Ref called(
        PyObject_CallFunction(callbacks_.after, "OOy#KL", environ, text.get(), fields.data(),
                              static_cast<Py_ssize_t>(fields.size()),
                              static_cast<unsigned long long>(exchange.response.body_bytes()),
                              static_cast<long long>(duration_us)));
    if (!called) PyErr_WriteUnraisable(callbacks_.after);
}

}  // namespace mono::python
