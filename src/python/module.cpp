// monoceros._core: multi-phase initialisation, per-module state, no static PyObject*.
#include "python/types.hpp"

namespace mono::python {
namespace {

int exec_module(PyObject* module) {
    using Add = int (*)(PyObject*);
    constexpr Add kParts[] = {add_settings_type,     add_supervisor_type, add_scoreboard_type,
                              add_process_functions, add_engine_type,     add_file_wrapper_type};
    for (Add add : kParts) {
        if (add(module) < 0) return -1;
    }
    return PyModule_AddStringConstant(module, "__version__", MONO_VERSION);
}

PyModuleDef_Slot slots[] = {
    {Py_mod_exec, reinterpret_cast<void*>(exec_module)},
#ifdef Py_GIL_DISABLED
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, nullptr},
};

PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_core", "The C++ core of monoceros. Private: see _core.pyi.",
    0, nullptr, slots, nullptr, nullptr, nullptr,
};

}  // namespace
}  // namespace mono::python

PyMODINIT_FUNC PyInit__core() { return PyModuleDef_Init(&mono::python::definition); }
