// Ready: an awaitable that is done already. `await` of it costs no Future and no turn of the loop:
// am_send answers PYGEN_RETURN at once (design.md, section 9). A value is given once; the shared
// Ready of None may be awaited any number of times.
#include "python/asgi_objects.hpp"
#include "python/types.hpp"

namespace mono::python {
namespace {

struct ReadyObject {
    PyObject_HEAD PyObject* value;
};

ReadyObject* ready_of(PyObject* self) { return reinterpret_cast<ReadyObject*>(self); }

PyObject* await(PyObject* self) {
    Py_INCREF(self);
    return self;
}

PySendResult send(PyObject* self, PyObject*, PyObject** result) {
    *result = Py_NewRef(ready_of(self)->value);
    return PYGEN_RETURN;
}

// For whoever iterates instead of sending (yield from, older loops).
PyObject* next(PyObject* self) {
    PyObject* value = ready_of(self)->value;
    if (value != Py_None) {
        Ref stop(PyObject_CallOneArg(PyExc_StopIteration, value));
        if (stop) PyErr_SetObject(PyExc_StopIteration, stop.get());
    }
    return nullptr;
}

PyObject* send_method(PyObject* self, PyObject*) {
    PyObject* none = next(self);
    if (none == nullptr && !PyErr_Occurred()) PyErr_SetNone(PyExc_StopIteration);
    return none;
}

PyObject* nothing(PyObject*, PyObject*) { Py_RETURN_NONE; }

int traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    Py_VISIT(ready_of(self)->value);
    return 0;
}

int clear(PyObject* self) {
    Py_CLEAR(ready_of(self)->value);
    return 0;
}

void free_ready(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

PyMethodDef methods[] = {
    {"send", send_method, METH_O, "send(None): ends at once."},
    {"close", nothing, METH_NOARGS, "Nothing is open."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_am_await, reinterpret_cast<void*>(await)},
    {Py_am_send, reinterpret_cast<void*>(send)},
    {Py_tp_iter, reinterpret_cast<void*>(await)},
    {Py_tp_iternext, reinterpret_cast<void*>(next)},
    {Py_tp_methods, methods},
    {Py_tp_dealloc, reinterpret_cast<void*>(free_ready)},
    {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(clear)},
    {0, nullptr},
};

PyType_Spec spec = {"monoceros._core.Ready", sizeof(ReadyObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                    slots};

}  // namespace

PyObject* make_ready(PyTypeObject* type, Ref value) {
    if (!value) return nullptr;
    PyObject* self = type->tp_alloc(type, 0);
    if (self != nullptr) ready_of(self)->value = value.release();
    return self;
}

int add_ready_type(PyObject* module) {
    PyObject* type = PyType_FromModuleAndSpec(module, &spec, nullptr);
    state_of_module(module)->ready = reinterpret_cast<PyTypeObject*>(type);
    return type == nullptr ? -1 : 0;
}

}  // namespace mono::python
