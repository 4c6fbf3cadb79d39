// What each file of this folder adds to the module monoceros._core; one line a Python type.
// module.cpp calls them in this order. Each returns 0, or -1 with an exception set.
#pragma once

#include "python/ref.hpp"

namespace mono::python {

int add_settings_type(PyObject* module);       // settings_type.cpp: Settings, settings_table()
int add_supervisor_type(PyObject* module);     // supervisor_type.cpp: Supervisor
int add_scoreboard_type(PyObject* module);     // scoreboard_type.cpp: Scoreboard
int add_process_functions(PyObject* module);   // process_fns.cpp: prctl, cpu and memory facts
int add_stack_chunks(PyObject* module);        // stack_chunks.cpp: keep_stack_chunks()
int add_file_wrapper_type(PyObject* module);   // file_wrapper.cpp: FileWrapper
int add_response_types(PyObject* module);      // wsgi_response.cpp: start_response and its kin
int add_input_type(PyObject* module);          // wsgi_input.cpp: wsgi.input
int add_client_socket_type(PyObject* module);  // client_socket.cpp: gunicorn.socket
int add_request_times_type(PyObject* module);  // request_times.cpp: RequestTimes
int add_inotify_type(PyObject* module);        // inotify_type.cpp: Inotify
int add_operation_type(PyObject* module);      // asgi_operation.cpp: what ASGI awaits
int add_exchange_type(PyObject* module);       // exchange_type.cpp: Exchange, of nested engines
int add_engine_type(PyObject* module);         // engine_type.cpp: Engine

// To monoceros._secure.
int add_tls_store_type(PyObject* module);  // tls_type.cpp: TlsStore

}  // namespace mono::python
