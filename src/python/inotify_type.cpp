// _core.Inotify: os/inotify for the reloader's thread, which waits on fileno() with select.poll.
#include <new>

#include "os/inotify.hpp"
#include "python/types.hpp"

namespace mono::python {
namespace {

struct InotifyObject {
    PyObject_HEAD os::Inotify* inotify;  // owned
};

InotifyObject* self_of(PyObject* object) { return reinterpret_cast<InotifyObject*>(object); }

PyObject* inotify_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
    static const char* const keywords[] = {nullptr};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, ":Inotify", const_cast<char**>(keywords))) {
        return nullptr;
    }
    PyObject* self = type->tp_alloc(type, 0);
    if (self == nullptr) return nullptr;
    self_of(self)->inotify = new os::Inotify();
    if (!self_of(self)->inotify->ok()) {
        PyErr_SetFromErrno(PyExc_OSError);
        Py_DECREF(self);
        return nullptr;
    }
    return self;
}

void inotify_dealloc(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    delete self_of(self)->inotify;
    type->tp_free(self);
    Py_DECREF(type);
}

PyObject* watch(PyObject* self, PyObject* argument) {
    PyObject* converted = nullptr;
    if (PyUnicode_FSConverter(argument, &converted) == 0) return nullptr;
    Ref path(converted);
    if (!self_of(self)->inotify->watch(PyBytes_AS_STRING(path.get()))) {
        return PyErr_SetFromErrnoWithFilenameObject(PyExc_OSError, argument);
    }
    Py_RETURN_NONE;
}

PyObject* drain(PyObject* self, PyObject*) {
    return PyBool_FromLong(self_of(self)->inotify->drain());
}

PyObject* fileno(PyObject* self, PyObject*) {
    return PyLong_FromLong(self_of(self)->inotify->fd());
}

PyMethodDef methods[] = {
    {"watch", watch, METH_O, "watch(directory): its entries. OSError where that is impossible."},
    {"drain", drain, METH_NOARGS, "Takes all news; whether there was any. Never waits."},
    {"fileno", fileno, METH_NOARGS, "Readable when there is news."},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

int add_inotify_type(PyObject* module) {
    PyType_Slot slots[] = {
        {Py_tp_doc, const_cast<char*>("Tells that something changed in some directories.")},
        {Py_tp_new, reinterpret_cast<void*>(inotify_new)},
        {Py_tp_dealloc, reinterpret_cast<void*>(inotify_dealloc)},
        {Py_tp_methods, methods},
        {0, nullptr},
    };
    PyType_Spec spec = {"monoceros._core.Inotify", sizeof(InotifyObject), 0,
                        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, slots};
    Ref type(PyType_FromModuleAndSpec(module, &spec, nullptr));
    if (!type) return -1;
    return PyModule_AddObjectRef(module, "Inotify", type.get());
}

}  // namespace mono::python
