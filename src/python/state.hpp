// ModuleState: the types that the module keeps for itself. One per module object (and so per
// interpreter); reached through PyType_GetModuleState of any of its types.
#pragma once

#include "python/ref.hpp"

namespace mono::python {

struct ModuleState {
    PyTypeObject* start_response;
    PyTypeObject* write;
    PyTypeObject* early_hints;
    PyTypeObject* input;
    PyTypeObject* client_socket;
    PyTypeObject* request_times;
    PyTypeObject* exchange;
    PyTypeObject* operation;
    PyTypeObject* file_wrapper;
    PyObject* client_disconnected;  // an exception
};

inline ModuleState* state_of_module(PyObject* module) {
    return static_cast<ModuleState*>(PyModule_GetState(module));
}

}  // namespace mono::python
