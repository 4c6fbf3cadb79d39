// The Python objects that one WSGI request meets: start_response, write, wsgi.early_hints and
// wsgi.input. They are kept by the slot and used again when nobody else holds them. An application
// that keeps one longer finds it detached: `exchange` is nullptr from finish on.
// Thread: the one that runs the application.
#pragma once

#include <vector>

#include "engine/engine.hpp"
#include "python/body_reader.hpp"
#include "python/ref.hpp"
#include "python/state.hpp"

namespace mono::python {

class WsgiCall;

// PEP 3333's write() callable, and the state that start_response and early_hints share with it.
struct WriteObject {
    PyObject_HEAD vectorcallfunc vectorcall;
    engine::Engine* engine;
    session::Exchange* exchange;
    WsgiCall* call;   // that answers exchange
    bool gone;        // the client has left
    int64_t mute_ms;  // since when nothing was written though the client has sent FIN; 0: it was
};

struct StartResponseObject {
    PyObject_HEAD vectorcallfunc vectorcall;
    WriteObject* write;
};

struct EarlyHintsObject {
    PyObject_HEAD vectorcallfunc vectorcall;
    WriteObject* write;
};

struct ClientSocketObject {
    PyObject_HEAD WriteObject* write;
    PyObject* socket;  // nullptr until somebody asks
};

struct InputObject {
    PyObject_HEAD session::Exchange* exchange;
    uint64_t offset;
    std::shared_ptr<BodyReader> reader;  // of a body that streams in; else nullptr
};
PyObject* make_input(PyTypeObject* type);

// Latin-1 text of a str without a copy; false with ValueError set when it has wider characters.
bool latin1_view(PyObject* text, const char* what, std::string_view& view);

// Seconds of a deadline as milliseconds; false with an exception set.
bool read_span_ms(PyObject* seconds, int64_t& span_ms);

// Sends `piece` (bytes), keeping a reference to it as long as the engine needs it. False only with
// an exception set; a client that has gone shows in write->gone.
bool send_piece(WriteObject* write, PyObject* piece, int64_t known_length, bool last);

// For an application that gives empty pieces only: whether its client has left. True: write->gone.
bool client_left(WriteObject* write);

// The objects of one slot.
class CallObjects {
  public:
    explicit CallObjects(ModuleState* state) : state_(state) {}
    // Ready for `exchange`; false with an exception set.
    bool attach(engine::Engine& engine, session::Exchange& exchange, WsgiCall& call);
    void detach();
    // wsgi.input reads from there, until detach().
    void stream_input(std::shared_ptr<BodyReader> reader);

    // A listener's environ with this slot's objects in it, which requests are copied from; empty
    // until it is kept, and again when the objects are new ones.
    Ref& base(size_t listener);

    PyObject* start_response() const { return start_response_.get(); }
    PyObject* early_hints() const { return early_hints_.get(); }
    PyObject* input() const { return input_.get(); }
    PyObject* client_socket() const { return client_socket_.get(); }
    PyObject* times() const { return times_.get(); }
    PyObject* extend_timeout() const { return extend_timeout_.get(); }  // nullptr: no deadlines
    // The application has talked to the client itself.
    bool socket_used() const {
        return client_socket_ &&
               reinterpret_cast<ClientSocketObject*>(client_socket_.get())->socket != nullptr;
    }
    WriteObject* write() const { return reinterpret_cast<WriteObject*>(write_.get()); }

  private:
    bool reusable() const;
    bool make(bool deadlines);

    ModuleState* state_;
    Ref write_;
    Ref start_response_;
    Ref early_hints_;
    Ref input_;
    Ref client_socket_;
    Ref times_;
    Ref extend_timeout_;
    std::vector<Ref> bases_;
};

}  // namespace mono::python
