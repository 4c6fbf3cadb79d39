// Exchange: a request that a nested engine handed to an event loop, and Engine.turn, which makes
// them. The loop's thread only. `waiter` is called when the output is low again, more of a streamed
// body has arrived, or the client has left; it shall do no more than schedule something.
#include <optional>

#include "python/asgi_channel.hpp"
#include "python/engine_parts.hpp"
#include "python/errors.hpp"
#include "python/forked_child.hpp"
#include "python/types.hpp"

namespace mono::python {
namespace {

struct ExchangeObject {
    PyObject_HEAD PyObject* engine;  // the Engine object: outlives its exchanges
    session::Exchange* exchange;     // WSGI: until it is run; its runner's alone
    engine::Handle handle;           // for all others
    PyObject* waiter;                // WSGI: a callable or nullptr
    PyObject* task;                  // the runner's, or None
    AsgiChannel* channel;            // ASGI: answers instead
    RunningRequest running;          // in the engine's list, until its task has ended
};

ExchangeObject* exchange_of(PyObject* self) { return reinterpret_cast<ExchangeObject*>(self); }

// Its task has come to its end, or never will. True: that makes room for a request that waits.
bool end_run(ExchangeObject* object) {
    bool room = false;
    {
        Locked lock(object->engine);
        room = engine_parts(object->engine)->running.remove(object->running);
    }
    if (object->task != Py_None) Py_XSETREF(object->task, Py_NewRef(Py_None));
    return room;
}

// A WebSocket handshake that was answered without the application.
bool is_refused(PyObject* self) {
    return exchange_of(self)->exchange == nullptr && exchange_of(self)->channel == nullptr;
}

PyObject* make_exchange(PyObject* engine, session::Exchange* exchange) {
    PyTypeObject* type = engine_parts(engine)->state.exchange;
    PyObject* self = type->tp_alloc(type, 0);
    if (self == nullptr) return nullptr;
    exchange_of(self)->engine = Py_NewRef(engine);
    exchange_of(self)->task = Py_NewRef(Py_None);
    exchange_of(self)->exchange = exchange;
    exchange_of(self)->handle = *exchange;
    exchange->user = self;  // borrowed: free_exchange gives the exchange back first
    EngineParts& parts = *engine_parts(engine);
    if (parts.asgi) {
        exchange_of(self)->exchange = nullptr;
        exchange_of(self)->channel = make_channel(parts, exchange);
    }
    if (is_refused(self)) return self;
    Locked lock(engine);
    parts.running.add(exchange_of(self)->running, &exchange_of(self)->task);
    return self;
}

bool call_waiter(ExchangeObject* object) {
    if (object->waiter == nullptr) return true;
    Ref waiter = Ref::borrow(object->waiter);
    Ref called(PyObject_CallNoArgs(waiter.get()));
    return static_cast<bool>(called);
}

bool deliver(ExchangeObject* object, engine::EventKind kind) {
    if (object->channel != nullptr) return object->channel->on_event(kind);
    return call_waiter(object);
}

PyObject* scope(PyObject* self, PyObject*) {
    AsgiChannel* channel = channel_of(self);
    return channel == nullptr ? nullptr : channel->scope().release();
}

PyObject* receive(PyObject* self, PyObject*) {
    return make_operation(engine_parts(exchange_of(self)->engine)->state.operation, self, nullptr);
}

PyObject* send(PyObject* self, PyObject* message) {
    return make_operation(engine_parts(exchange_of(self)->engine)->state.operation, self, message);
}

// How a request of ASGI has ended: bits of what close() returns.
constexpr long kEndedComplete = 1;
constexpr long kEndedHttp = 2;
constexpr long kEndedRoom = 4;

PyObject* close_channel(PyObject* self, PyObject* failed) {
    AsgiChannel* channel = channel_of(self);
    if (channel == nullptr) return nullptr;
    if (engine_parts(exchange_of(self)->engine)->engine->foreign()) leave_forked_child();
    const int given = PyObject_IsTrue(failed);
    if (given < 0) return nullptr;
    const bool complete = channel->close(given == 1);
    const bool room = end_run(exchange_of(self));
    return PyLong_FromLong((complete ? kEndedComplete : 0) | (channel->is_http() ? kEndedHttp : 0) |
                           (room ? kEndedRoom : 0));
}

PyObject* abandon(PyObject* self, PyObject*) {
    AsgiChannel* channel = channel_of(self);
    if (channel == nullptr) return nullptr;
    channel->abandon();
    return PyBool_FromLong(end_run(exchange_of(self)));
}

PyObject* get_about(PyObject* self, void*) {
    AsgiChannel* channel = channel_of(self);
    return channel == nullptr ? nullptr : channel->about().release();
}

// run_wsgi(application): answers the request, in the caller's greenlet.
PyObject* run_wsgi(PyObject* self, PyObject* application) {
    ExchangeObject* object = exchange_of(self);
    session::Exchange* exchange = std::exchange(object->exchange, nullptr);
    if (exchange == nullptr) {
        PyErr_SetString(PyExc_RuntimeError, "this exchange was answered already");
        return nullptr;
    }
    EngineParts& parts = *engine_parts(object->engine);
    std::unique_ptr<CallObjects> objects;
    if (parts.spare_calls.empty()) {
        objects = std::make_unique<CallObjects>(&parts.state);
    } else {
        objects = std::move(parts.spare_calls.back());
        parts.spare_calls.pop_back();
    }
    Callbacks callbacks{parts.handle_error.get(), parts.before.get(), parts.after.get(),
                        parts.wait.get(), parts.around.get()};
    WsgiCall call(object->engine, *objects, callbacks, self);
    bool go_on = call.run(application, *exchange);
    parts.spare_calls.push_back(std::move(objects));
    SavedError ending;
    end_run(object);
    if (!call_waiter(object)) PyErr_WriteUnraisable(self);  // greenlets that still write to it
    if (ending) ending.restore();
    if (!go_on) return nullptr;
    Py_RETURN_NONE;
}

engine::Engine& engine_of(PyObject* self) {
    return *engine_parts(exchange_of(self)->engine)->engine;
}

PyObject* enter(PyObject* self, PyObject*) {
    return PyBool_FromLong(engine_of(self).enter_application(exchange_of(self)->handle));
}

PyObject* leave(PyObject* self, PyObject*) {
    return PyBool_FromLong(engine_of(self).leave_application(exchange_of(self)->handle));
}

PyObject* interrupt(PyObject* self, PyObject*) {
    return PyBool_FromLong(engine_of(self).interrupt(exchange_of(self)->handle));
}

PyObject* extend_timeout(PyObject* self, PyObject* seconds) {
    int64_t span_ms = 0;
    if (!read_span_ms(seconds, span_ms)) return nullptr;
    return PyBool_FromLong(engine_of(self).extend(exchange_of(self)->handle, span_ms));
}

PyObject* get_gone(PyObject* self, void*) {
    return PyBool_FromLong(engine_of(self).gone(exchange_of(self)->handle));
}

PyObject* get_request_id(PyObject* self, void*) {
    const std::string id = engine_of(self).request_id_of(exchange_of(self)->handle);
    return PyUnicode_FromStringAndSize(id.data(), static_cast<Py_ssize_t>(id.size()));
}

PyObject* get_waiter(PyObject* self, void*) {
    PyObject* waiter = exchange_of(self)->waiter;
    if (waiter == nullptr) Py_RETURN_NONE;
    Py_INCREF(waiter);
    return waiter;
}

int set_waiter(PyObject* self, PyObject* waiter, void*) {
    PyObject* fresh = waiter == Py_None ? nullptr : waiter;
    Py_XINCREF(fresh);
    PyObject* old = exchange_of(self)->waiter;
    exchange_of(self)->waiter = fresh;
    Py_XDECREF(old);
    return 0;
}

int traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(exchange_of(self)->engine);
    Py_VISIT(exchange_of(self)->waiter);
    // Not its task: one that waits for what only this exchange tells of is in nobody else's hands,
    // and would be collected with it. So it lives until it has ended (end_run).
    const AsgiChannel* channel = exchange_of(self)->channel;
    return channel == nullptr ? 0 : channel->traverse(visit, arg);
}

int clear(PyObject* self) {
    Py_CLEAR(exchange_of(self)->waiter);
    Py_CLEAR(exchange_of(self)->task);
    return 0;
}

void free_exchange(PyObject* self) {
    ExchangeObject* object = exchange_of(self);
    PyTypeObject* type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    end_run(object);
    clear(self);
    delete object->channel;
    if (object->exchange != nullptr)  // nobody answered: the client shall not wait for ever
        engine_parts(object->engine)->engine->abandon(object->handle);
    Py_CLEAR(object->engine);
    type->tp_free(self);
    Py_DECREF(type);
}

PyMemberDef members[] = {
    // Never nullptr for those who ask: Python's own code for such members takes a shorter way.
    {"task", T_OBJECT_EX, offsetof(ExchangeObject, task), 0, "the runner's task"},
    {nullptr, 0, 0, 0, nullptr},
};

PyMethodDef methods[] = {
    {"scope", scope, METH_NOARGS, "scope() -> the ASGI http scope"},
    {"receive", receive, METH_NOARGS, "ASGI's receive: an awaitable."},
    {"send", send, METH_O, "ASGI's send: an awaitable."},
    {"close", close_channel, METH_O,
     "close(failed) -> how it has ended, as bits: 1: it had answered completely, or its client had "
     "left; 2: it is no WebSocket; 4: there was no room for another request, and now there is."},
    {"abandon", abandon, METH_NOARGS,
     "abandon() -> whether that makes room: nobody answers it, unless that is done."},
    {"run_wsgi", run_wsgi, METH_O, "run_wsgi(application): answers the request."},
    {"enter", enter, METH_NOARGS, "enter() -> whether the application may begin; False: too late."},
    {"leave", leave, METH_NOARGS,
     "leave() -> whether the application was interrupted; it is not from now on."},
    {"interrupt", interrupt, METH_NOARGS,
     "interrupt() -> whether the application is to be interrupted: now, once, by the caller."},
    {"extend_timeout", extend_timeout, METH_O,
     "extend_timeout(seconds): gives this request until then; False: it is too late."},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef attributes[] = {
    {"about", get_about, nullptr, "type, method and path of its scope, as they were", nullptr},
    {"gone", get_gone, nullptr, "the client has left, or the request was answered", nullptr},
    {"request_id", get_request_id, nullptr, "of the request; - once it was answered", nullptr},
    {"waiter", get_waiter, set_waiter, "called on room, body and departure", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(free_exchange)},
    {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(clear)},
    {Py_tp_methods, methods},
    {Py_tp_getset, attributes},
    {Py_tp_members, members},
    {Py_tp_doc, const_cast<char*>("A request handed to an event loop.")},
    {0, nullptr},
};

PyType_Spec spec = {"monoceros._core.Exchange", sizeof(ExchangeObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                    slots};

}  // namespace

AsgiChannel* channel_of(PyObject* self) {
    AsgiChannel* channel = exchange_of(self)->channel;
    if (channel == nullptr) PyErr_SetString(PyExc_RuntimeError, "this engine does not speak ASGI");
    return channel;
}

namespace {

// What went wrong with one exchange is not the others' trouble: a turn goes on, and tells at its
// end what is meant to end more than a request (SystemExit of a signal handler).
class TurnErrors {
  public:
    explicit TurnErrors(PyObject* engine) : engine_(engine) {}
    void take() {
        if (first_ || PyErr_ExceptionMatches(PyExc_Exception))
            PyErr_WriteUnraisable(engine_);
        else
            first_.emplace();
    }
    // True: there was one, and it is set.
    bool restore() {
        if (first_) first_->restore();
        return first_.has_value();
    }

  private:
    PyObject* engine_;
    std::optional<SavedError> first_;
};

// There is no memory for its object: its client shall not wait for ever.
void refuse(engine::Engine& engine, session::Exchange& exchange) {
    WithoutGil without;
    engine.write_error(exchange, 500, "");
    engine.finish(exchange);
}

Ref add_ready(PyObject* self, const engine::Turn& turn, TurnErrors& errors) {
    Ref fresh(PyList_New(0));
    if (!fresh) errors.take();
    for (session::Exchange* exchange : turn.ready) {
        Ref object(fresh ? make_exchange(self, exchange) : nullptr);
        if (!object) {
            if (PyErr_Occurred()) errors.take();
            refuse(*engine_parts(self)->engine, *exchange);
        } else if (!is_refused(object.get()) && PyList_Append(fresh.get(), object.get()) < 0) {
            errors.take();  // with the object, its request is abandoned
        }
    }
    return fresh;
}

Ref deliver_all(PyObject* self, const engine::Turn& turn, TurnErrors& errors) {
    Ref gone(PyList_New(0));
    if (!gone) errors.take();
    for (const engine::Event& event : turn.events) {
        // Whose request has ended since hears no more of it.
        auto* object =
            static_cast<ExchangeObject*>(engine_parts(self)->engine->user_of(event.exchange));
        if (object == nullptr) continue;
        Ref kept = Ref::borrow(reinterpret_cast<PyObject*>(object));
        if (!deliver(object, event.kind)) errors.take();
        if (event.kind != engine::EventKind::kGone || !gone) continue;
        // Who has had the whole answer does not end what the application does behind it.
        if (object->channel != nullptr && object->channel->delivered()) continue;
        if (PyList_Append(gone.get(), kept.get()) < 0) errors.take();
    }
    return gone;
}

}  // namespace

PyObject* engine_turn(PyObject* self, PyObject* args) {
    EngineParts& parts = *engine_parts(self);
    unsigned int most = UINT32_MAX;
    if (!PyArg_ParseTuple(args, "|I:turn", &most)) return nullptr;
    uint32_t room = 0;
    {
        Locked lock(self);
        room = parts.running.room(most);
    }
    engine::Turn turn;
    {
        WithoutGil without;
        parts.engine->turn(turn, room);
    }
    if (parts.engine->needs_attention()) release_owners(*parts.engine);
    TurnErrors errors(self);
    Ref fresh = add_ready(self, turn, errors);
    Ref gone = deliver_all(self, turn, errors);
    if (errors.restore()) return nullptr;
    if (!fresh || !gone) return PyErr_NoMemory();
    const bool news = parts.engine->needs_attention();  // owners have been released
    return Py_BuildValue("(NNNN)", fresh.release(), PyBool_FromLong(turn.again), gone.release(),
                         PyBool_FromLong(news));
}

PyObject* engine_tasks(PyObject* self, PyObject*) {
    std::vector<Ref> tasks;  // making a list may run anything
    {
        Locked lock(self);
        const RunningRequest* one = engine_parts(self)->running.first();
        for (; one != nullptr; one = one->next) {
            if (*one->task != nullptr && *one->task != Py_None)
                tasks.push_back(Ref::borrow(*one->task));
        }
    }
    Ref list(PyList_New(0));
    for (const Ref& task : tasks) {
        if (!list || PyList_Append(list.get(), task.get()) < 0) return nullptr;
    }
    return list.release();
}

PyObject* engine_running(PyObject* self, void*) {
    Locked lock(self);
    return PyLong_FromUnsignedLong(engine_parts(self)->running.count());
}

PyObject* engine_set_asgi(PyObject* self, PyObject* args) {
    PyObject* loop;
    PyObject* scopes;
    PyObject* state;
    int farewells = 1;
    if (!PyArg_ParseTuple(args, "OO!O|p", &loop, &PyList_Type, &scopes, &state, &farewells))
        return nullptr;
    EngineParts& parts = *engine_parts(self);
    parts.asgi = std::make_unique<AsgiShared>();
    parts.asgi->farewells = farewells != 0;
    if (!parts.asgi->init(parts.state, loop, scopes, state)) return nullptr;
    Py_RETURN_NONE;
}

int add_exchange_type(PyObject* module) {
    PyObject* type = PyType_FromModuleAndSpec(module, &spec, nullptr);
    if (type == nullptr) return -1;
    state_of_module(module)->exchange = reinterpret_cast<PyTypeObject*>(type);
    PyObject* gone = PyErr_NewExceptionWithDoc("monoceros._core.ClientDisconnected",
                                               "send() after the client has gone.",
                                               PyExc_ConnectionResetError, nullptr);
    if (gone == nullptr) return -1;
    state_of_module(module)->client_disconnected = gone;
    int added = PyModule_AddObjectRef(module, "Exchange", type);
    return added < 0 ? added : PyModule_AddObjectRef(module, "ClientDisconnected", gone);
}

}  // namespace mono::python
