// Operation: what receive() and send() return. It does its work when it is awaited, in the loop's
// thread then, as a coroutine would; but where the answer is there already, `await` costs no Future
// and no turn of the loop: am_send answers PYGEN_RETURN at once. It has all
// that collections.abc.Coroutine asks for, so tasks can be made of it.
#include "python/asgi_channel.hpp"
#include "python/types.hpp"

namespace mono::python {
namespace {

struct OperationObject {
    PyObject_HEAD PyObject* exchange;  // nullptr: awaited to its end
    PyObject* message;                 // of send(); nullptr: it is a receive()
    PyObject* waiting;                 // an iterator of the future that it waits for
};

OperationObject* operation_of(PyObject* self) { return reinterpret_cast<OperationObject*>(self); }

int traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(operation_of(self)->exchange);
    Py_VISIT(operation_of(self)->message);
    Py_VISIT(operation_of(self)->waiting);
    return 0;
}

int clear(PyObject* self) {
    Py_CLEAR(operation_of(self)->exchange);
    Py_CLEAR(operation_of(self)->message);
    Py_CLEAR(operation_of(self)->waiting);
    return 0;
}

void free_operation(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

PyObject* await(PyObject* self) { return Py_NewRef(self); }

PySendResult fail(PyObject* self, PyObject** result) {
    clear(self);
    *result = nullptr;
    return PYGEN_ERROR;
}

// Asks the channel, again and again until it has an answer or something to wait for. A future only
// says that there is something new: what it is stays with the channel, so that nothing is lost with
// a task that is cancelled, and whoever asks first gets it.
PySendResult advance(PyObject* self, PyObject** result) {
    OperationObject* operation = operation_of(self);
    // Another thread may close this operation meanwhile.
    Ref exchange = Ref::borrow(operation->exchange);
    Ref message = Ref::borrow(operation->message);
    while (true) {
        AsgiChannel* channel = channel_of(exchange.get());
        if (channel == nullptr) return fail(self, result);
        Answer answer = message ? channel->send(message.get()) : channel->receive();
        if (answer.value) {
            clear(self);
            *result = answer.value.release();
            return PYGEN_RETURN;
        }
        if (!answer.future) return fail(self, result);
        Ref waiting(PyObject_GetIter(answer.future.get()));
        if (!waiting) return fail(self, result);
        PySendResult state = PyIter_Send(waiting.get(), Py_None, result);
        if (state == PYGEN_ERROR) return fail(self, result);
        if (state == PYGEN_NEXT) {
            Ref before(std::exchange(operation->waiting, waiting.release()));
            return state;
        }
        Py_CLEAR(*result);
    }
}

PySendResult send(PyObject* self, PyObject* value, PyObject** result) {
    OperationObject* operation = operation_of(self);
    if (operation->exchange == nullptr) {
        PyErr_SetString(PyExc_RuntimeError, "receive() or send() was already awaited");
        return fail(self, result);
    }
    if (operation->waiting == nullptr) return advance(self, result);
    Ref waiting = Ref::borrow(operation->waiting);
    PySendResult state = PyIter_Send(waiting.get(), value, result);
    if (state == PYGEN_NEXT) return state;
    if (state == PYGEN_ERROR) return fail(self, result);
    Py_CLEAR(operation->waiting);
    if (operation->message == nullptr && operation->exchange != nullptr) {
        Py_CLEAR(*result);
        return advance(self, result);
    }
    // What was to be sent has been accepted before the wait; or the client left meanwhile.
    const AsgiChannel* channel =
        operation->exchange == nullptr ? nullptr : channel_of(operation->exchange);
    if (channel != nullptr && channel->broken()) channel->raise_gone();
    if (PyErr_Occurred()) {
        Py_CLEAR(*result);
        return fail(self, result);
    }
    clear(self);
    return PYGEN_RETURN;
}

// As Python sees an end: StopIteration with the value.
PyObject* as_iteration(PySendResult state, PyObject* result) {
    if (state != PYGEN_RETURN) return result;
    Ref value(result);
    Ref stop(PyObject_CallOneArg(PyExc_StopIteration, value.get()));
    if (stop) PyErr_SetObject(PyExc_StopIteration, stop.get());
    return nullptr;
}

PyObject* next(PyObject* self) {
    PyObject* result = nullptr;
    PySendResult state = send(self, Py_None, &result);
    return as_iteration(state, result);
}

PyObject* send_method(PyObject* self, PyObject* value) {
    PyObject* result = nullptr;
    PySendResult state = send(self, value, &result);
    return as_iteration(state, result);
}

// throw(exception), or the older throw(type[, value[, traceback]]).
PyObject* throw_method(PyObject* self, PyObject* args) {
    Ref waiting(std::exchange(operation_of(self)->waiting, nullptr));
    if (!waiting) {
        PyObject* error = nullptr;
        PyObject* value = nullptr;
        PyObject* trace = nullptr;
        clear(self);
        if (!PyArg_ParseTuple(args, "O|OO:throw", &error, &value, &trace)) return nullptr;
        if (PyExceptionInstance_Check(error)) value = error;
        if (value != nullptr && PyExceptionInstance_Check(value))
            PyErr_SetObject(PyExceptionInstance_Class(value), value);
        else
            PyErr_SetObject(error, value);
        return nullptr;
    }
    clear(self);
    Ref method(PyObject_GetAttrString(waiting.get(), "throw"));
    return method ? PyObject_CallObject(method.get(), args) : nullptr;
}

PyObject* close_method(PyObject* self, PyObject*) {
    Ref waiting(std::exchange(operation_of(self)->waiting, nullptr));
    clear(self);
    if (!waiting) Py_RETURN_NONE;
    return PyObject_CallMethod(waiting.get(), "close", nullptr);
}

PyMethodDef methods[] = {
    {"send", send_method, METH_O, "send(value): one step, as a coroutine's."},
    {"throw", throw_method, METH_VARARGS, "throw(exception): ends the wait with it."},
    {"close", close_method, METH_NOARGS, "Gives up."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_am_await, reinterpret_cast<void*>(await)},
    {Py_am_send, reinterpret_cast<void*>(send)},
    {Py_tp_iter, reinterpret_cast<void*>(await)},
    {Py_tp_iternext, reinterpret_cast<void*>(next)},
    {Py_tp_methods, methods},
    {Py_tp_dealloc, reinterpret_cast<void*>(free_operation)},
    {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(clear)},
    {0, nullptr},
};

PyType_Spec spec = {"monoceros._core.Operation", sizeof(OperationObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                    slots};

}  // namespace

PyObject* make_operation(PyTypeObject* type, PyObject* exchange, PyObject* message) {
    PyObject* self = type->tp_alloc(type, 0);
    if (self == nullptr) return nullptr;
    operation_of(self)->exchange = Py_NewRef(exchange);
    operation_of(self)->message = message == nullptr ? nullptr : Py_NewRef(message);
    return self;
}

int add_operation_type(PyObject* module) {
    PyObject* type = PyType_FromModuleAndSpec(module, &spec, nullptr);
    state_of_module(module)->operation = reinterpret_cast<PyTypeObject*>(type);
    return type == nullptr ? -1 : 0;
}

}  // namespace mono::python
