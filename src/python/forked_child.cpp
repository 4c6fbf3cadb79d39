#include "python/forked_child.hpp"

#include "os/process.hpp"
#include "python/errors.hpp"

namespace mono::python {

void leave_forked_child() {
    SavedError error;
    // Imported by the worker long ago: no lock of the import system is needed.
    Ref module(PyImport_ImportModule("monoceros.host.forked"));
    if (module)
        Ref called(
            PyObject_CallMethod(module.get(), "leave", "O", error ? error.value() : Py_None));
    os::exit_process(1);  // it should not have returned
}

}  // namespace mono::python
