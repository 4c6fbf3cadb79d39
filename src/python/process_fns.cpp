// Functions about processes that Python's os module lacks.
#include <vector>

#include "base/clock.hpp"
#include "engine/accept_policy.hpp"
#include "os/crash_handler.hpp"
#include "os/fork_hook.hpp"
#include "os/process.hpp"
#include "python/scoreboard_type.hpp"
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

bool read_numbers(PyObject* sequence, std::vector<int>& numbers) {
    Ref items(PySequence_Fast(sequence, "numbers must be a sequence"));
    for (Py_ssize_t i = 0; items && i < PySequence_Fast_GET_SIZE(items.get()); ++i)
        numbers.push_back(
            static_cast<int>(PyLong_AsLong(PySequence_Fast_GET_ITEM(items.get(), i))));
    return PyErr_Occurred() == nullptr;
}

PyObject* keep_from_children(PyObject*, PyObject* args) {
    PyObject* board;
    PyObject* sequences[3];
    if (!PyArg_ParseTuple(args, "OOOO", &board, &sequences[0], &sequences[1], &sequences[2]))
        return nullptr;
    std::vector<int> descriptors;
    std::vector<int> epolls;
    std::vector<int> signals;
    if (!read_numbers(sequences[0], descriptors) || !read_numbers(sequences[1], epolls) ||
        !read_numbers(sequences[2], signals))
        return nullptr;
    const os::SharedMemory* memory = board == Py_None ? nullptr : memory_of(board);
    if (board != Py_None && memory == nullptr) return nullptr;
    os::Belongings mine{descriptors, epolls, signals, nullptr, 0};
    if (memory != nullptr) {
        mine.memory = memory->data();
        mine.memory_bytes = memory->bytes();
    }
    if (!os::keep_from_children(mine)) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

PyObject* begin_own_fork(PyObject*, PyObject*) {
    os::begin_own_fork();
    Py_RETURN_NONE;
}

PyObject* end_own_fork(PyObject*, PyObject*) {
    os::end_own_fork();
    Py_RETURN_NONE;
}

// In any thread, while an exception is told that nobody can catch. self: (kinds, before).
PyObject* on_unraisable(PyObject* self, PyObject* unraisable) {
    Ref value(PyObject_GetAttrString(unraisable, "exc_value"));
    if (!value) return nullptr;
    auto* kind = reinterpret_cast<PyObject*>(Py_TYPE(value.get()));
    Ref entry = Ref::borrow(PyDict_GetItemWithError(PyTuple_GET_ITEM(self, 0), kind));
    if (!entry) {
        if (PyErr_Occurred() != nullptr) return nullptr;
        return PyObject_CallOneArg(PyTuple_GET_ITEM(self, 1), unraisable);
    }
    PyObject* lost;
    int number;
    if (!PyArg_ParseTuple(entry.get(), "Oi", &lost, &number)) return nullptr;
    if (number == 0) {
        Ref own(PyObject_GetAttrString(value.get(), "signum"));
        if (!own) return nullptr;
        number = static_cast<int>(PyLong_AsLong(own.get()));
    }
    Ref told(PyObject_CallOneArg(lost, value.get()));
    if (!told) PyErr_Clear();  // another signal's exit: this one comes all the same
    // The last step: Python code that came after it, here, would be what the handler interrupts.
    if (PyErr_SetInterruptEx(number) != 0) PyErr_Clear();
    Py_RETURN_NONE;
}

PyMethodDef on_unraisable_method = {"on_unraisable", on_unraisable, METH_O, nullptr};

PyObject* unraisable_hook(PyObject*, PyObject* args) {
    PyObject* kinds;
    PyObject* before;
    if (!PyArg_ParseTuple(args, "O!O", &PyDict_Type, &kinds, &before)) return nullptr;
    return PyCFunction_New(&on_unraisable_method, args);
}

PyObject* started_as(PyObject*, PyObject*) { return PyUnicode_DecodeFSDefault(os::started_as()); }

PyObject* raise_open_files_max(PyObject*, PyObject*) {
    return PyBool_FromLong(os::raise_open_files_max());
}

PyObject* open_files_max(PyObject*, PyObject*) {
    return PyLong_FromUnsignedLongLong(os::open_files_max());
}

PyObject* connections_bound(PyObject*, PyObject*) {
    return PyLong_FromUnsignedLong(
        engine::descriptors_of(os::open_files_max(), os::open_files()).links_max);
}

PyObject* take_term(PyObject*, PyObject*) { return PyBool_FromLong(os::take_term()); }

PyObject* raise_in_thread(PyObject*, PyObject* args) {
    unsigned long thread;
    PyObject* exception;
    if (!PyArg_ParseTuple(args, "kO", &thread, &exception)) return nullptr;
    PyThreadState_SetAsyncExc(thread, exception);
    Py_RETURN_NONE;
}

PyObject* monotonic_ms(PyObject*, PyObject*) { return PyLong_FromLongLong(base::monotonic_ms()); }

PyMethodDef functions[] = {
    {"set_parent_death_signal", set_parent_death_signal, METH_O,
     "set_parent_death_signal(signal): sent to this process when its parent dies; 0: none.\n"
     "A change of uid or gid clears it."},
    {"keep_from_children", keep_from_children, METH_VARARGS,
     "keep_from_children(scoreboard, descriptors, epolls, signals): what processes that are "
     "forked\n"
     "from this one shall not share. Replaces what was named before."},
    {"begin_own_fork", begin_own_fork, METH_NOARGS, "Until end_own_fork() children get it all."},
    {"end_own_fork", end_own_fork, METH_NOARGS, "In the parent and in the child."},
    {"unraisable_hook", unraisable_hook, METH_VARARGS,
     "unraisable_hook({kind: (lost, signal)}, before): a sys.unraisablehook. For exceptions of a\n"
     "kind lost(exception) is called, then the signal is handled again, in the code behind; 0: "
     "the\n"
     "exception's signum. Others go to `before`."},
    {"started_as", started_as, METH_NOARGS,
     "The file that this process was started from, as it was named: a script, or an interpreter."},
    {"raise_open_files_max", raise_open_files_max, METH_NOARGS,
     "Raises the limit of open files (RLIMIT_NOFILE) to the hard one; whether it was lower."},
    {"open_files_max", open_files_max, METH_NOARGS, "The limit of open files."},
    {"connections_bound", connections_bound, METH_NOARGS,
     "How many connections a worker could hold that has open what is open here now."},
    {"take_term", take_term, METH_NOARGS,
     "Whether TERM has come since the last call, whatever its handler made of it. Only once "
     "Scoreboard.note_senders was called."},
    {"raise_in_thread", raise_in_thread, METH_VARARGS,
     "raise_in_thread(ident, exception class): as soon as that thread runs Python code."},
    {"monotonic_ms", monotonic_ms, METH_NOARGS, "The clock of heartbeats and deadlines."},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

int add_process_functions(PyObject* module) { return PyModule_AddFunctions(module, functions); }

}  // namespace mono::python
