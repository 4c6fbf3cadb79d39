// Functions about processes that Python's os module lacks.
#include "base/clock.hpp"
#include "os/process.hpp"
#include "python/types.hpp"

namespace mono::python {
namespace {

PyObject* set_parent_death_signal(PyObject*, PyObject* argument) {
    const long number = PyLong_AsLong(argument);
    if (number == -1 && PyErr_Occurred()) return nullptr;
    if (number < 0 || number > 64) return PyErr_Format(PyExc_ValueError, "no signal %ld", number);
    if (!os::set_parent_death_signal(static_cast<int>(number))) {
        return PyErr_SetFromErrno(PyExc_OSError);
    }
    Py_RETURN_NONE;
}

PyObject* monotonic_ms(PyObject*, PyObject*) { return PyLong_FromLongLong(base::monotonic_ms()); }

PyMethodDef functions[] = {
    {"set_parent_death_signal", set_parent_death_signal, METH_O,
     "set_parent_death_signal(signal): sent to this process when its parent dies; 0: none.\n"
     "A change of uid or gid clears it."},
    {"monotonic_ms", monotonic_ms, METH_NOARGS, "The clock of heartbeats and deadlines."},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

int add_process_functions(PyObject* module) { return PyModule_AddFunctions(module, functions); }

}  // namespace mono::python
