#include "python/wsgi_call.hpp"

#include <optional>

#include "base/clock.hpp"
#include "python/engine_parts.hpp"
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

// What answer() is bound to, as long as somebody keeps it.
struct Bracket {
    WsgiCall* call;  // nullptr: the request is over
    PyThreadState* thread;
};

PyObject* call_answer(PyObject* capsule, PyObject*) {
    auto* bracket = static_cast<Bracket*>(PyCapsule_GetPointer(capsule, nullptr));
    if (bracket == nullptr) return nullptr;
    if (bracket->call == nullptr || bracket->thread != PyThreadState_Get()) {
        PyErr_SetString(PyExc_RuntimeError, "the request is over, or another thread's");
        return nullptr;
    }
    if (!bracket->call->answer()) return nullptr;
    Py_RETURN_NONE;
}

PyMethodDef answer_method = {"answer", call_answer, METH_NOARGS,
                             "answer(): runs the application and sends its answer."};

}  // namespace

WsgiCall::WsgiCall(PyObject* engine_object, CallObjects& objects, const Callbacks& callbacks,
                   PyObject* exchange_object)
    : engine_object_(engine_object),
      engine_(*engine_parts(engine_object)->engine),
      environs_(engine_parts(engine_object)->environs),
      objects_(objects),
      state_(engine_parts(engine_object)->state),
      callbacks_(callbacks),
      exchange_object_(exchange_object) {}

bool WsgiCall::require_head(const session::Exchange& exchange) {
    if (!exchange.response.head.empty()) return true;
    PyErr_SetString(PyExc_AssertionError,
                    "the application returned a body without having called start_response");
    return false;
}

bool WsgiCall::end_body(session::Exchange& exchange) {
    if (objects_.shared_socket() != nullptr && exchange.response.head.empty())
        take_connection(objects_.write());  // it did it all
    if (taken()) return true;
    if (!require_head(exchange)) return false;
    if (!engine_.is_answered(exchange)) send_piece(engine_, objects_.write(), nullptr, true);
    return true;
}

bool WsgiCall::send(PyObject* piece, bool last) {
    send_piece(engine_, objects_.write(), piece, last);
    return last || callbacks_.wait == nullptr || wait_for_room(engine_object_, objects_.write());
}

void WsgiCall::stream_input(session::Exchange& exchange) {
    BodyReader::Options options{engine_object_, state_.client_disconnected};
    if (exchange_object_ != nullptr) {
        options.wait = callbacks_.wait;
        options.handle = exchange_object_;
    }
    objects_.stream_input(std::make_shared<BodyReader>(options, exchange));
}

// PEP 3333, "Handling the Content-Length Header": of one item the server knows the length.
bool WsgiCall::send_sequence(session::Exchange& exchange, PyObject* result) {
    Py_ssize_t count = PySequence_Fast_GET_SIZE(result);
    if (taken()) return true;
    for (Py_ssize_t i = 0; i < count && !objects_.write()->gone; ++i) {
        Ref item = item_at(result, i);
        if (!item) return end_body(exchange);  // another thread has shortened the list
        if (!check_bytes(item.get()) || !require_head(exchange)) return false;
        bool last = i + 1 == count;
        if (PyBytes_GET_SIZE(item.get()) == 0 && !last) continue;
        if (!send(item.get(), last)) return false;
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
        if (taken()) continue;  // it runs on, and is not heard
        if (!check_bytes(item.get()) || !require_head(exchange)) return false;
        if (PyBytes_GET_SIZE(item.get()) == 0) {  // PEP 3333: no head before a byte
            if (client_left(engine_, objects_.write())) return true;
            continue;
        }
        if (!send(item.get(), false)) return false;
        if (objects_.write()->gone) return true;
    }
}

bool WsgiCall::send_file(session::Exchange& exchange, PyObject* result, bool& sent) {
    sent = false;
    if (!require_head(exchange)) return true;  // iterating may still call start_response
    FileRange range = file_range(reinterpret_cast<const FileWrapperObject*>(result));
    if (range.fd < 0) return true;
    sent = true;
    objects_.write()->begun = true;
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
    if (taken() && Py_TYPE(result)->tp_iter == nullptr) return true;
    if (!taken() && Py_TYPE(result) == state_.file_wrapper && !exchange.response.head.empty() &&
        engine_.sendfile_enabled()) {
        bool sent = false;
        if (!send_file(exchange, result, sent)) return false;
        if (sent) return true;
    }
    if (!taken() && (PyBytes_Check(result) || PyUnicode_Check(result))) {
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

bool WsgiCall::respond() {
    PyObject* arguments[] = {nullptr, environ_.get(), objects_.start_response()};
    Ref result(PyObject_Vectorcall(application_, arguments + 1, 2 | PY_VECTORCALL_ARGUMENTS_OFFSET,
                                   nullptr));
    if (!result) return false;
    send_result(*exchange_, result.get());
    return close(result.get());
}

bool WsgiCall::answer() {
    if (std::exchange(begun_, true)) {
        PyErr_SetString(PyExc_RuntimeError, "the request was answered already");
        return false;
    }
    runs_ = true;
    Ref before;
    if (callbacks_.before != nullptr)
        before.reset(PyObject_CallOneArg(callbacks_.before, environ_.get()));
    if (callbacks_.before == nullptr || before) answered_ = respond();
    runs_ = false;
    return answered_;
}

// Through the methods that a worker's class has overridden.
bool WsgiCall::bracket() {
    auto* bracket = new Bracket{this, PyThreadState_Get()};
    Ref capsule(PyCapsule_New(bracket, nullptr, [](PyObject* self) {
        delete static_cast<Bracket*>(PyCapsule_GetPointer(self, nullptr));
    }));
    Ref bound(capsule ? PyCFunction_New(&answer_method, capsule.get()) : nullptr);
    if (!bound) return false;
    Ref called(PyObject_CallFunction(callbacks_.around, "OOI", bound.get(), environ_.get(),
                                     static_cast<unsigned>(exchange_->peer.listener)));
    bracket->call = nullptr;
    while (runs_) {  // in a greenlet of the subclass
        Ref waited(PyObject_CallOneArg(callbacks_.wait, exchange_object_));
        if (!waited) PyErr_WriteUnraisable(callbacks_.wait);
    }
    if (!called) return false;
    if (objects_.shared_socket() != nullptr && !begun_) take_connection(objects_.write());
    if (answered_ || taken()) return true;
    PyErr_SetString(PyExc_RuntimeError,
                    "the worker's handle_request() came back without an answer to the request");
    return false;
}

// An interruption that was asked for and has not come yet would strike who is next. An application
// that goes on in spite of one ends here as well: who tells of it hears of that.
void WsgiCall::leave(session::Exchange& exchange, bool done) {
    if (!engine_.leave_application(exchange)) return;
    if (exchange_object_ == nullptr) PyThreadState_SetAsyncExc(exchange.thread, nullptr);
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
    application_ = application;
    exchange_ = &exchange;
    begun_ = answered_ = false;
    bool done = false;
    if (objects_.attach(engine_object_, exchange, exchange_object_)) {
        if (exchange.streamed) stream_input(exchange);
        environ_ = environs_.make(exchange, engine_.limits().script_name, objects_);
    }
    if (environ_) done = callbacks_.around == nullptr ? answer() : bracket();
    if (engine_.foreign()) leave_forked_child();
    leave(exchange, done);
    bool go_on = done || fail(exchange);
    std::optional<SavedError> ending;  // SystemExit on its way out
    if (!go_on) ending.emplace();
    if (objects_.shared_socket() != nullptr) note_socket(exchange);
    if (callbacks_.after != nullptr && environ_) call_after(exchange);
    bool left = objects_.write() != nullptr && objects_.write()->gone;
    bool whole = !left && (done || objects_.write() == nullptr || !objects_.write()->begun);
    objects_.detach();
    if (!whole || !engine_.try_finish(exchange)) {
        WithoutGil without;
        if (whole) {
            engine_.finish(exchange);
        } else {
            engine_.abandon(exchange);
        }
    }
    environ_.reset();
    if (ending && *ending) ending->restore();
    return go_on;
}

// As gunicorn has it: an application that speaks to its client by the socket ends by StopIteration,
// or because its client has left.
bool WsgiCall::ends_quietly(const SavedError& error) {
    if (objects_.shared_socket() == nullptr) return false;
    bool stops = error.matches(PyExc_StopIteration);
    if (stops && !objects_.write()->begun) take_connection(objects_.write());
    return taken() && (stops || error.matches(PyExc_ConnectionError));
}

// The logs tell the status that the application gave its client by itself. And its environ lets the
// socket go: in a cycle with its framework's objects it lives until the collector comes.
void WsgiCall::note_socket(session::Exchange& exchange) {
    if (PyDict_DelItemString(environ_.get(), "gunicorn.socket") < 0) PyErr_Clear();
    if (!taken()) return;
    Ref status(PyObject_GetAttrString(objects_.shared_socket(), "status"));
    std::string_view line;
    if (status && latin1_view(status.get(), "the status", line))
        engine_.note_status(exchange, line);
    if (PyErr_Occurred()) PyErr_WriteUnraisable(objects_.shared_socket());
}

void WsgiCall::write_failure(session::Exchange& exchange, uint16_t status) {
    if (objects_.write() != nullptr && objects_.write()->begun) return;
    WithoutGil without;
    engine_.write_error(exchange, status, "");
}

void WsgiCall::log_failure(const session::Exchange& exchange, const SavedError& error) {
    std::string_view id = exchange.request_id();
    Ref logged(PyObject_CallFunction(callbacks_.handle_error, "Os#s#s#O", error.value(),
                                     exchange.text(exchange.head.method).data(),
                                     static_cast<Py_ssize_t>(exchange.head.method.length),
                                     exchange.text(exchange.head.target).data(),
                                     static_cast<Py_ssize_t>(exchange.head.target.length),
                                     id.data(), static_cast<Py_ssize_t>(id.size()),
                                     environ_ ? environ_.get() : Py_None));
    if (!logged) PyErr_WriteUnraisable(callbacks_.handle_error);
}

// An exception ended the request. Answers 500 where nothing was sent; true: the worker goes on.
bool WsgiCall::fail(session::Exchange& exchange) {
    bool ends_worker =
        PyErr_ExceptionMatches(PyExc_SystemExit) || PyErr_ExceptionMatches(PyExc_KeyboardInterrupt);
    SavedError error;
    if (ends_quietly(error)) return true;
    // Its body broke off, or was refused, which the engine has said.
    bool cut = exchange.streamed && error.matches(state_.client_disconnected);
    bool client_left = cut || (objects_.write() != nullptr && objects_.write()->gone);
    if (callbacks_.around == nullptr) write_failure(exchange, cut ? 400 : 500);
    if (!(client_left && error.matches(PyExc_OSError))) log_failure(exchange, error);
    if (callbacks_.around != nullptr) write_failure(exchange, cut ? 400 : 500);
    if (!ends_worker) return true;
    error.restore();
    return false;
}

void WsgiCall::call_after(const session::Exchange& exchange) {
    std::string line;
    std::string fields;
    uint64_t body_bytes = 0;
    if (!engine_.copy_answer(exchange, line, fields, body_bytes)) return;
    int64_t duration_us = base::monotonic_us() - exchange.started_us;
    Ref text = latin1_text(line);
    Ref called(PyObject_CallFunction(callbacks_.after, "OOy#KL", environ_.get(), text.get(),
                                     fields.data(), static_cast<Py_ssize_t>(fields.size()),
                                     static_cast<unsigned long long>(body_bytes),
                                     static_cast<long long>(duration_us)));
    if (!called) PyErr_WriteUnraisable(callbacks_.after);
}

}  // namespace mono::python
