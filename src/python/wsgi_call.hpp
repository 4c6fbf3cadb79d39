// WsgiCall: one request through a PEP 3333 application: environ, call, iteration, close, errors.
// Thread: the one that took the exchange, with the GIL; no lock of the engine is held. On the
// stack, which gevent switches away: nothing that the application may keep points here
// (wsgi_objects.hpp).
#pragma once

#include "engine/engine.hpp"
#include "python/errors.hpp"
#include "python/ref.hpp"
#include "python/wsgi_environ.hpp"
#include "python/wsgi_objects.hpp"

namespace mono::python {

// What a worker gives its engine to call; Python callables or nullptr.
struct Callbacks {
    PyObject* handle_error = nullptr;  // (exception, method, uri, request id, environ): logs it
    PyObject* before = nullptr;        // (environ): pre_request
    PyObject* after = nullptr;  // (environ, status, fields, body_bytes, duration_us): post_request
    PyObject* wait = nullptr;   // (exchange): until something has happened to it; nested only
    // (answer, environ, listener): brackets the request, which answer() runs and answers. With one,
    // handle_error comes before the server's page, which the application may have sent itself.
    PyObject* around = nullptr;
};

class WsgiCall {
  public:
    // exchange_object: the Exchange object, borrowed; nullptr unless nested.
    WsgiCall(PyObject* engine_object, CallObjects& objects, const Callbacks& callbacks,
             PyObject* exchange_object = nullptr);

    // Answers the exchange in every case and gives it back. False with SystemExit or
    // KeyboardInterrupt set: the worker itself shall end.
    bool run(PyObject* application, session::Exchange& exchange);
    // What `around` calls: False with an exception set.
    bool answer();

  private:
    bool respond();
    bool bracket();
    void write_failure(session::Exchange& exchange, uint16_t status);
    void log_failure(const session::Exchange& exchange, const SavedError& error);
    bool send_result(session::Exchange& exchange, PyObject* result);
    bool send_sequence(session::Exchange& exchange, PyObject* result);
    bool send_iterable(session::Exchange& exchange, PyObject* result);
    bool send_file(session::Exchange& exchange, PyObject* result, bool& sent);
    bool end_body(session::Exchange& exchange);
    bool send(PyObject* piece, bool last);
    void stream_input(session::Exchange& exchange);
    bool require_head(const session::Exchange& exchange);
    bool taken() const { return objects_.write() != nullptr && objects_.write()->taken; }
    bool close(PyObject* result);
    void leave(session::Exchange& exchange, bool done);
    bool ends_quietly(const SavedError& error);
    void note_socket(session::Exchange& exchange);
    bool fail(session::Exchange& exchange);
    void call_after(const session::Exchange& exchange);

    PyObject* engine_object_;
    engine::Engine& engine_;
    const EnvironMaker& environs_;
    CallObjects& objects_;
    const ModuleState& state_;
    const Callbacks& callbacks_;
    PyObject* exchange_object_;
    PyObject* application_ = nullptr;  // of the request that runs, as all below
    session::Exchange* exchange_ = nullptr;
    Ref environ_;
    bool begun_ = false;     // answer() was called
    bool runs_ = false;      // and has not come back
    bool answered_ = false;  // and came back without an exception
};

}  // namespace mono::python
