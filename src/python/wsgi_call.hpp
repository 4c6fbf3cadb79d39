// WsgiCall: one request through a PEP 3333 application: environ, call, iteration, close, errors.
// Thread: the one that took the exchange, with the GIL; no lock of the engine is held.
#pragma once

#include "engine/engine.hpp"
#include "python/ref.hpp"
#include "python/wsgi_environ.hpp"
#include "python/wsgi_objects.hpp"

namespace mono::python {

// What a worker gives its engine to call; Python callables or nullptr.
struct Callbacks {
    PyObject* handle_error = nullptr;  // (exception, method, uri, request id): logs it
    PyObject* before = nullptr;        // (environ): pre_request
    PyObject* after = nullptr;  // (environ, status, fields, body_bytes, duration_us): post_request
    PyObject* wait = nullptr;   // (exchange): until something has happened to it; nested only
};

class WsgiCall {
  public:
    WsgiCall(engine::Engine& engine, const EnvironMaker& environs, CallObjects& objects,
             const ModuleState& state, const Callbacks& callbacks, PyObject* handle = nullptr)
        : engine_(engine),
          environs_(environs),
          objects_(objects),
          state_(state),
          callbacks_(callbacks),
          handle_(handle) {}

    // Answers the exchange in every case and gives it back. False with SystemExit or
    // KeyboardInterrupt set: the worker itself shall end.
    bool run(PyObject* application, session::Exchange& exchange);
    // Behind a piece that others follow. A nested engine cannot make its thread wait: the runner
    // waits in its own way. False with an exception set.
    bool wait_for_room();

  private:
    bool respond(PyObject* application, session::Exchange& exchange, PyObject* environ);
    bool send_result(session::Exchange& exchange, PyObject* result);
    bool send_sequence(session::Exchange& exchange, PyObject* result);
    bool send_iterable(session::Exchange& exchange, PyObject* result);
    bool send_file(session::Exchange& exchange, PyObject* result, bool& sent);
    bool end_body(session::Exchange& exchange);
    void stream_input(session::Exchange& exchange);
    bool require_head(const session::Exchange& exchange);
    bool close(PyObject* result);
    void leave(session::Exchange& exchange, bool done);
    bool fail(session::Exchange& exchange);
    void call_after(const session::Exchange& exchange, PyObject* environ);
    void note_mismatch(const session::Exchange& exchange);

    engine::Engine& engine_;
    const EnvironMaker& environs_;
    CallObjects& objects_;
    const ModuleState& state_;
    const Callbacks& callbacks_;
    PyObject* handle_;  // the Exchange object, borrowed; nullptr unless nested
};

}  // namespace mono::python
