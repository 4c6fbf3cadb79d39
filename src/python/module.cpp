// monoceros._core: multi-phase initialisation, per-module state, no static PyObject*.
#include "python/state.hpp"
#include "python/types.hpp"

namespace mono::python {
namespace {

int exec_module(PyObject* module) {
    using Add = int (*)(PyObject*);
    constexpr Add kParts[] = {add_settings_type,      add_supervisor_type, add_scoreboard_type,
                              add_process_functions,  add_stack_chunks,    add_file_wrapper_type,
                              add_response_types,     add_input_type,      add_client_socket_type,
                              add_request_times_type, add_inotify_type,    add_operation_type,
                              add_exchange_type,      add_engine_type};
    for (Add add : kParts) {
        if (add(module) < 0) return -1;
    }
    return PyModule_AddStringConstant(module, "__version__", MONO_VERSION);
}

int traverse_module(PyObject* module, visitproc visit, void* arg) {
    ModuleState* state = state_of_module(module);
    Py_VISIT(state->start_response);
    Py_VISIT(state->write);
    Py_VISIT(state->early_hints);
    Py_VISIT(state->input);
    Py_VISIT(state->client_socket);
    Py_VISIT(state->request_times);
    Py_VISIT(state->exchange);
    Py_VISIT(state->operation);
    Py_VISIT(state->file_wrapper);
    Py_VISIT(state->client_disconnected);
    return 0;
}

int clear_module(PyObject* module) {
    ModuleState* state = state_of_module(module);
    Py_CLEAR(state->start_response);
    Py_CLEAR(state->write);
    Py_CLEAR(state->early_hints);
    Py_CLEAR(state->input);
    Py_CLEAR(state->client_socket);
    Py_CLEAR(state->request_times);
    Py_CLEAR(state->exchange);
    Py_CLEAR(state->operation);
    Py_CLEAR(state->file_wrapper);
    Py_CLEAR(state->client_disconnected);
    return 0;
}

PyModuleDef_Slot slots[] = {
    {Py_mod_exec, reinterpret_cast<void*>(exec_module)},
#ifdef Py_GIL_DISABLED
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, nullptr},
};

PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "_core",      "The C++ core of monoceros. Private: see _core.pyi.",
    sizeof(ModuleState),   nullptr,      slots,
    traverse_module,       clear_module, nullptr,
};

}  // namespace
}  // namespace mono::python

PyMODINIT_FUNC PyInit__core() { return PyModuleDef_Init(&mono::python::definition); }
