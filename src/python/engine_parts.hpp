// EngineParts: what the Python type Engine owns. Shared by the files that add methods to it.
// Thread: any with the GIL; engine has its own lock.
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "python/asgi_objects.hpp"
#include "python/running.hpp"
#include "python/wsgi_call.hpp"

namespace mono::python {

// How serve_wsgi goes on. A wake-up ends serving until drain() is called; from then on nothing
// does: a second signal to stop must not keep a draining worker from the requests that it has.
enum class Serving : int { kUntilWoken, kWoken, kDraining };

struct EngineParts {
    explicit EngineParts(const ModuleState* module_state) : state(*module_state) {}

    ModuleState state;
    Ref board;  // the Scoreboard: outlives the engine
    std::unique_ptr<log::AccessLog> access_log;
    std::unique_ptr<engine::Engine> engine;
    EnvironMaker environs;
    Ref handle_error;
    Ref before;
    Ref after;
    Ref wait;
    Ref around;  // nested: (exchange): returns when something has happened to it, or soon
    std::unique_ptr<AsgiShared> asgi;                       // nested under asyncio
    Running running;                                        // nested
    std::vector<std::unique_ptr<CallObjects>> spare_calls;  // nested: for requests to come
    std::atomic<Serving> serving{Serving::kUntilWoken};     // any thread
};

struct EngineObject {
    PyObject_HEAD EngineParts* parts;
};

inline EngineParts* engine_parts(PyObject* self) {
    return reinterpret_cast<EngineObject*>(self)->parts;
}

// Methods of Engine for event loops (exchange_type.cpp).
PyObject* engine_turn(PyObject* self, PyObject* args);
PyObject* engine_set_asgi(PyObject* self, PyObject* args);
PyObject* engine_tasks(PyObject* self, PyObject*);
PyObject* engine_running(PyObject* self, void*);
// engine_overdue.cpp
PyObject* engine_collect_overdue(PyObject* self, PyObject*);
PyObject* engine_interrupt_overdue(PyObject* self, PyObject* exception);
PyObject* engine_interrupt_again(PyObject* self, PyObject* lost);
// Drops the references that the engine is done with.
void release_owners(engine::Engine& engine);

}  // namespace mono::python
