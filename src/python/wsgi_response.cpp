// start_response, write and wsgi.early_hints (PEP 3333; RFC 8297).

#include <algorithm>

#include "base/clock.hpp"
#include "http/bounds.hpp"
#include "python/engine_parts.hpp"
#include "python/request_times.hpp"
#include "python/types.hpp"
#include "python/wsgi_call.hpp"
#include "python/wsgi_objects.hpp"

namespace mono::python {

using http::HeadFault;

constexpr int64_t kHalfCloseMs = 1'000;

bool latin1_view(PyObject* text, const char* what, std::string_view& view) {
    if (!PyUnicode_Check(text)) {
        PyErr_Format(PyExc_TypeError, "%s must be str, not %.100s", what, Py_TYPE(text)->tp_name);
        return false;
    }
#if PY_VERSION_HEX < 0x030c0000
    if (PyUnicode_READY(text) < 0) return false;
#endif
    if (PyUnicode_KIND(text) != PyUnicode_1BYTE_KIND) {
        PyErr_Format(PyExc_ValueError, "%s has characters outside latin-1", what);
        return false;
    }
    view = {static_cast<const char*>(PyUnicode_DATA(text)),
            static_cast<size_t>(PyUnicode_GET_LENGTH(text))};
    return true;
}

Ref hold_engine(WriteObject* write) {
    Locked lock(reinterpret_cast<PyObject*>(write));
    return Ref::borrow(write->engine);
}

PyObject* raise_over(const char* what) {
    PyErr_Format(PyExc_RuntimeError, "%s was called after the request's end", what);
    return nullptr;
}

engine::WriteStatus send_piece(engine::Engine& engine, WriteObject* write, PyObject* piece,
                               bool last) {
    bool first;
    {
        Locked lock(reinterpret_cast<PyObject*>(write));
        write->mute_ms = 0;
        first = !std::exchange(write->begun, true);
    }
    engine::Piece wire;
    if (piece != nullptr)
        wire.bytes = {PyBytes_AS_STRING(piece), static_cast<size_t>(PyBytes_GET_SIZE(piece))};
    if (wire.bytes.size() > http::kCopiedBytesMax) {
        Py_INCREF(piece);
        wire.owner = piece;
    }
    // Where this is the first piece and the last.
    const int64_t known_length = last ? static_cast<int64_t>(wire.bytes.size()) : -1;
    const engine::Handle handle = write->handle;
    std::optional<engine::WriteStatus> status;
    // Behind others a piece cannot wait in the outbox.
    if (first) status = engine.try_write(handle, wire, known_length, last);
    if (!status) {
        WithoutGil without;
        status = engine.write(handle, wire, known_length, last);
    }
    // A long answer gives back its own pieces.
    if (engine.needs_attention()) release_owners(engine);
    if (wire.owner != nullptr && status != engine::WriteStatus::kKept) Py_DECREF(piece);
    if (status == engine::WriteStatus::kGone) write->gone = true;
    return *status;
}

bool wait_for_room(PyObject* engine_object, WriteObject* write) {
    EngineParts& parts = *engine_parts(engine_object);
    if (!parts.wait) return true;
    Ref exchange;
    {
        Locked lock(reinterpret_cast<PyObject*>(write));
        exchange = Ref::borrow(write->exchange_object);
    }
    if (!exchange) return true;
    while (!parts.engine->has_room(write->handle, session::kOutputMemoryBytesMax)) {
        Ref waited(PyObject_CallOneArg(parts.wait.get(), exchange.get()));
        if (!waited) return false;
    }
    return true;
}

// After a FIN a client may still read, so it gets a moment in which something is written to it.
bool client_left(engine::Engine& engine, WriteObject* write) {
    engine::Presence presence = engine.presence(write->handle);
    if (presence == engine::Presence::kHere) return write->gone;
    if (presence == engine::Presence::kSentFin) {
        int64_t now_ms = base::monotonic_ms();
        if (write->mute_ms == 0) write->mute_ms = now_ms;
        if (now_ms - write->mute_ms < kHalfCloseMs) return write->gone;
    }
    write->gone = true;
    return true;
}

bool read_span_ms(PyObject* seconds, int64_t& span_ms) {
    double value = PyFloat_AsDouble(seconds);
    if (value == -1.0 && PyErr_Occurred()) return false;
    if (!(value > 0 && value < 1e9)) {
        PyErr_SetString(PyExc_ValueError, "seconds must be positive");
        return false;
    }
    span_ms = static_cast<int64_t>(value * 1'000);
    return true;
}

void take_connection(WriteObject* write) {
    Ref owner = hold_engine(write);
    if (!owner) return;
    {
        Locked lock(reinterpret_cast<PyObject*>(write));
        if (std::exchange(write->taken, true)) return;
        write->begun = true;
    }
    WithoutGil without;
    engine_parts(owner.get())->engine->give_away(write->handle);
}

namespace {

bool raise_fault(HeadFault fault) {
    const std::string text(http::describe(fault));
    PyErr_SetString(PyExc_ValueError, text.c_str());
    return false;
}

bool add_header(http::ResponseHead& head, PyObject* item) {
    if (!PyTuple_Check(item) || PyTuple_GET_SIZE(item) != 2) {
        PyErr_SetString(PyExc_TypeError, "a response header must be a (name, value) tuple");
        return false;
    }
    std::string_view name;
    std::string_view value;
    if (!latin1_view(PyTuple_GET_ITEM(item, 0), "a response header's name", name)) return false;
    if (!latin1_view(PyTuple_GET_ITEM(item, 1), "a response header's value", value)) return false;
    HeadFault fault = head.add(name, value);
    return fault == HeadFault::kNone || raise_fault(fault);
}

bool fill_head(http::ResponseHead& head, PyObject* status, PyObject* items) {
    std::string_view text;
    if (!latin1_view(status, "the status", text)) return false;
    HeadFault fault = head.set_status(text);
    if (fault != HeadFault::kNone) return raise_fault(fault);
    for (Py_ssize_t i = 0; Ref item = item_at(items, i); ++i) {
        if (!add_header(head, item.get())) return false;
    }
    return true;
}

// PEP 3333: with exc_info after the head has left, the original exception goes on: what
// `raise exc_info[1].with_traceback(exc_info[2])` does. Nothing of it has to be what it should be.
bool reraise(PyObject* exc_info) {
    if (!PyTuple_Check(exc_info) || PyTuple_GET_SIZE(exc_info) != 3 ||
        !PyExceptionInstance_Check(PyTuple_GET_ITEM(exc_info, 1))) {
        PyErr_SetString(PyExc_TypeError, "exc_info must be a (type, value, traceback) tuple");
        return false;
    }
    PyObject* value = PyTuple_GET_ITEM(exc_info, 1);
    if (PyException_SetTraceback(value, PyTuple_GET_ITEM(exc_info, 2)) < 0) return false;
    PyErr_SetObject(PyExceptionInstance_Class(value), value);
    return false;
}

// Whether a head may be given now; under the lock of the write object.
bool may_start(const WriteObject* write, PyObject* exc_info) {
    if (write->engine == nullptr) return raise_over("start_response") != nullptr;
    if (write->taken) return true;  // and is not heard
    if (exc_info != nullptr && exc_info != Py_None) return !write->begun || reraise(exc_info);
    if (!write->begun && write->exchange->response.head.empty()) return true;
    PyErr_SetString(PyExc_AssertionError, "start_response was called twice without exc_info");
    return false;
}

// The headers may be anything iterable, which runs whatever code it likes: before we look. What
// comes then runs none, and so nobody ends the request meanwhile.
bool accept_head(WriteObject* write, PyObject* status, PyObject* headers, PyObject* exc_info) {
    Ref items(PySequence_Fast(headers, "the response headers must be a list"));
#ifdef Py_GIL_DISABLED
    if (items) items.reset(PySequence_Tuple(items.get()));  // that nobody else knows
#endif
    if (!items) return false;
    Locked lock(reinterpret_cast<PyObject*>(write));
    if (!may_start(write, exc_info)) return false;
    if (write->taken) return true;
    write->exchange->response.head.clear();
    if (fill_head(write->exchange->response.head, status, items.get())) return true;
    // But to raise does.
    if (write->engine != nullptr && !write->begun) write->exchange->response.head.clear();
    return false;
}

PyObject* call_start_response(PyObject* self, PyObject* const* args, size_t nargsf,
                              PyObject* names) {
    auto* object = reinterpret_cast<StartResponseObject*>(self);
    Py_ssize_t count = PyVectorcall_NARGS(nargsf);
    PyObject* found[3] = {nullptr, nullptr, nullptr};
    static constexpr const char* kNames[3] = {"status", "headers", "exc_info"};
    for (Py_ssize_t i = 0; i < count && i < 3; ++i) found[i] = args[i];
    Py_ssize_t named = names == nullptr ? 0 : PyTuple_GET_SIZE(names);
    for (Py_ssize_t i = 0; i < named; ++i) {
        PyObject* name = PyTuple_GET_ITEM(names, i);
        for (int at = 0; at < 3; ++at) {
            bool hit = PyUnicode_CompareWithASCIIString(name, kNames[at]) == 0 ||
                       (at == 1 && PyUnicode_CompareWithASCIIString(name, "response_headers") == 0);
            if (hit) found[at] = args[count + i];
        }
    }
    if (count > 3 || found[0] == nullptr || found[1] == nullptr) {
        PyErr_SetString(PyExc_TypeError,
                        "start_response(status, headers, exc_info=None): bad arguments");
        return nullptr;
    }
    if (!accept_head(object->write, found[0], found[1], found[2])) return nullptr;
    Py_INCREF(object->write);
    return reinterpret_cast<PyObject*>(object->write);
}

// Or the request is over, as the engine will say.
bool has_head(WriteObject* write) {
    Locked lock(reinterpret_cast<PyObject*>(write));
    return write->begun || write->exchange == nullptr || !write->exchange->response.head.empty();
}

PyObject* call_write(PyObject* self, PyObject* const* args, size_t nargsf, PyObject* names) {
    auto* write = reinterpret_cast<WriteObject*>(self);
    if (PyVectorcall_NARGS(nargsf) != 1 || names != nullptr || !PyBytes_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "write() takes one bytes object");
        return nullptr;
    }
    Ref owner = hold_engine(write);
    if (!owner) return raise_over("write()");
    engine::Engine& engine = *engine_parts(owner.get())->engine;
    bool empty = PyBytes_GET_SIZE(args[0]) == 0;
    if (!empty) {
        if (!has_head(write)) {
            PyErr_SetString(PyExc_AssertionError, "write() was called without a head");
            return nullptr;
        }
        engine::WriteStatus status = send_piece(engine, write, args[0], false);
        if (status == engine::WriteStatus::kOver) return raise_over("write()");
        if (!wait_for_room(owner.get(), write)) return nullptr;
    }
    if (empty ? client_left(engine, write) : write->gone) {
        PyErr_SetString(PyExc_ConnectionResetError, "the client has closed the connection");
        return nullptr;
    }
    Py_RETURN_NONE;
}

// environ["monoceros.extend_timeout"](seconds): True if the request has until then from now on.
PyObject* extend_timeout(PyObject* self, PyObject* seconds) {
    auto* write = reinterpret_cast<WriteObject*>(self);
    int64_t span_ms = 0;
    if (!read_span_ms(seconds, span_ms)) return nullptr;
    Ref owner = hold_engine(write);
    if (!owner) Py_RETURN_FALSE;
    return PyBool_FromLong(engine_parts(owner.get())->engine->extend(write->handle, span_ms));
}

PyObject* take_connection_method(PyObject* self, PyObject*) {
    take_connection(reinterpret_cast<WriteObject*>(self));
    Py_RETURN_NONE;
}

PyMethodDef write_methods[] = {
    {"take_connection", take_connection_method, METH_NOARGS,
     "take_connection(): from now on the application speaks to the client by its socket."},
    {"extend_timeout", extend_timeout, METH_O,
     "extend_timeout(seconds): gives this request until then; False: it is too late."},
    {nullptr, nullptr, 0, nullptr},
};
PyMethodDef no_methods[] = {{nullptr, nullptr, 0, nullptr}};

// str as latin-1 or bytes, as gunicorn takes both.
bool text_or_bytes(PyObject* object, std::string_view& view) {
    if (PyBytes_Check(object)) {
        view = {PyBytes_AS_STRING(object), static_cast<size_t>(PyBytes_GET_SIZE(object))};
        return true;
    }
    return latin1_view(object, "an early hint", view);
}

bool hints_text(PyObject* headers, std::string& text) {
    Ref items(PySequence_Fast(headers, "early hints must be a list of (name, value) tuples"));
    if (!items) return false;
    http::ResponseHead head;
    for (Py_ssize_t i = 0; Ref item = item_at(items.get(), i); ++i) {
        std::string_view name;
        std::string_view value;
        if (!PyTuple_Check(item.get()) || PyTuple_GET_SIZE(item.get()) != 2) {
            PyErr_SetString(PyExc_TypeError, "an early hint must be a (name, value) tuple");
            return false;
        }
        if (!text_or_bytes(PyTuple_GET_ITEM(item.get(), 0), name)) return false;
        if (!text_or_bytes(PyTuple_GET_ITEM(item.get(), 1), value)) return false;
        HeadFault fault = head.add(name, value);
        if (fault != HeadFault::kNone) return raise_fault(fault);
    }
    text = "HTTP/1.1 103 Early Hints\r\n" + std::string(head.fields()) + "\r\n";
    return true;
}

PyObject* call_early_hints(PyObject* self, PyObject* const* args, size_t nargsf, PyObject* names) {
    WriteObject* write = reinterpret_cast<EarlyHintsObject*>(self)->write;
    if (PyVectorcall_NARGS(nargsf) != 1 || names != nullptr) {
        PyErr_SetString(PyExc_TypeError, "early_hints() takes one list of (name, value) tuples");
        return nullptr;
    }
    std::string text;
    if (!hints_text(args[0], text)) return nullptr;
    Ref owner = hold_engine(write);
    if (!owner) return raise_over("early_hints()");
    if (write->gone) Py_RETURN_NONE;
    engine::Engine& engine = *engine_parts(owner.get())->engine;
    const engine::Handle handle = write->handle;
    engine::WriteStatus status;
    {
        WithoutGil without;
        status = engine.write_interim(handle, text);
    }
    if (status == engine::WriteStatus::kOver) return raise_over("early_hints()");
    if (status == engine::WriteStatus::kGone) write->gone = true;
    Py_RETURN_NONE;
}

template <class Object>
void free_object(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    auto* object = reinterpret_cast<Object*>(self);
    if constexpr (std::is_same_v<Object, WriteObject>) {
        Py_XDECREF(object->engine);
        Py_XDECREF(object->exchange_object);
    } else {
        Py_XDECREF(reinterpret_cast<PyObject*>(object->write));
    }
    type->tp_free(self);
    Py_DECREF(type);
}

template <class Object>
PyTypeObject* make_type(PyObject* module, const char* name, const char* doc, PyMethodDef* methods) {
    static PyMemberDef members[] = {
        {"__vectorcalloffset__", T_PYSSIZET, offsetof(Object, vectorcall), READONLY, nullptr},
        {nullptr, 0, 0, 0, nullptr},
    };
    PyType_Slot slots[] = {
        {Py_tp_dealloc, reinterpret_cast<void*>(free_object<Object>)},
        {Py_tp_call, reinterpret_cast<void*>(PyVectorcall_Call)},
        {Py_tp_members, members},
        {Py_tp_methods, methods},
        {Py_tp_doc, const_cast<char*>(doc)},
        {0, nullptr},
    };
    PyType_Spec spec = {
        name, sizeof(Object), 0,
        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};
    return reinterpret_cast<PyTypeObject*>(PyType_FromModuleAndSpec(module, &spec, nullptr));
}

template <class Object>
Ref make_object(PyTypeObject* type, vectorcallfunc call) {
    Ref object(type->tp_alloc(type, 0));
    if (object) reinterpret_cast<Object*>(object.get())->vectorcall = call;
    return object;
}

}  // namespace

int add_response_types(PyObject* module) {
    ModuleState* state = state_of_module(module);
    state->start_response =
        make_type<StartResponseObject>(module, "monoceros._core.start_response",
                                       "PEP 3333's start_response callable.", no_methods);
    if (state->start_response == nullptr) return -1;
    state->write = make_type<WriteObject>(module, "monoceros._core.write",
                                          "PEP 3333's write callable.", write_methods);
    if (state->write == nullptr) return -1;
    state->early_hints = make_type<EarlyHintsObject>(
        module, "monoceros._core.early_hints", "Sends 103 Early Hints (RFC 8297).", no_methods);
    return state->early_hints == nullptr ? -1 : 0;
}

bool CallObjects::reusable() const {
    // Of what an environ has, each base holds one.
    const auto ours = static_cast<Py_ssize_t>(
        1 + std::count_if(bases_.begin(), bases_.end(), [](const Ref& base) { return !!base; }));
    // write is held by us, start_response, early_hints, input, client_socket and extend_timeout.
    return write_ && Py_REFCNT(write_.get()) == (extend_timeout_ ? 6 : 5) &&
           Py_REFCNT(client_socket_.get()) == ours && shared_socket() == nullptr &&
           Py_REFCNT(start_response_.get()) == 1 && Py_REFCNT(early_hints_.get()) == ours &&
           Py_REFCNT(input_.get()) == ours && Py_REFCNT(times_.get()) == ours &&
           (!extend_timeout_ || Py_REFCNT(extend_timeout_.get()) == ours);
}

Ref& CallObjects::base(size_t listener) {
    if (bases_.size() <= listener) bases_.resize(listener + 1);
    return bases_[listener];
}

bool CallObjects::make(bool deadlines) {
    bases_.clear();
    write_ = make_object<WriteObject>(state_->write, call_write);
    start_response_ = make_object<StartResponseObject>(state_->start_response, call_start_response);
    early_hints_ = make_object<EarlyHintsObject>(state_->early_hints, call_early_hints);
    input_.reset(make_input(state_->input));
    client_socket_.reset(state_->client_socket->tp_alloc(state_->client_socket, 0));
    times_.reset(state_->request_times->tp_alloc(state_->request_times, 0));
    bool made = write_ && start_response_ && early_hints_ && input_ && client_socket_ && times_;
    if (made && deadlines) {  // not with an exception set
        extend_timeout_.reset(PyObject_GetAttrString(write_.get(), "extend_timeout"));
        made = static_cast<bool>(extend_timeout_);
    }
    if (!made) {
        write_.reset();
        return false;
    }
    Py_INCREF(write_.get());
    reinterpret_cast<StartResponseObject*>(start_response_.get())->write = write();
    Py_INCREF(write_.get());
    reinterpret_cast<EarlyHintsObject*>(early_hints_.get())->write = write();
    Py_INCREF(write_.get());
    reinterpret_cast<ClientSocketObject*>(client_socket_.get())->write = write();
    Py_INCREF(write_.get());
    reinterpret_cast<InputObject*>(input_.get())->write = write();
    return true;
}

bool CallObjects::attach(PyObject* engine_object, session::Exchange& exchange,
                         PyObject* exchange_object) {
    const engine::Engine& engine = *engine_parts(engine_object)->engine;
    if (!reusable() && !make(engine.limits().request_ms_max != 0)) return false;
    WriteObject* object = write();
    object->engine = Py_NewRef(engine_object);
    object->exchange_object = Py_XNewRef(exchange_object);
    object->exchange = &exchange;
    object->handle = exchange;
    object->begun = object->gone = object->taken = false;
    object->mute_ms = 0;
    auto* input = reinterpret_cast<InputObject*>(input_.get());
    input->size = exchange.body.size();
    input->spilled = exchange.body.spilled();
    input->offset = 0;
    fill_request_times(times_.get(), exchange);
    return true;
}

void CallObjects::detach() {
    if (!write_) return;
    Ref engine, exchange;
    std::shared_ptr<BodyReader> reader;
    {
        Locked lock(write_.get());
        write()->exchange = nullptr;
        engine.reset(std::exchange(write()->engine, nullptr));
        exchange.reset(std::exchange(write()->exchange_object, nullptr));
    }
    {
        Locked lock(input_.get());
        reader.swap(reinterpret_cast<InputObject*>(input_.get())->reader);
    }
    if (shared_socket() == nullptr) return;
    // Whoever has kept the socket has it for himself: here nothing holds its descriptor any more.
    bases_.clear();
    for (Ref* held : {&write_, &start_response_, &client_socket_, &early_hints_, &extend_timeout_})
        held->reset();
}

void CallObjects::stream_input(std::shared_ptr<BodyReader> reader) {
    reinterpret_cast<InputObject*>(input_.get())->reader = std::move(reader);
}

}  // namespace mono::python
