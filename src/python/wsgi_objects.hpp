// The Python objects that one WSGI request meets: start_response, write, wsgi.early_hints and
// wsgi.input. They are kept by the slot and used again when nobody else holds them. An application
// may keep them, and use them from any thread or greenlet: they know the request by its handle, and
// everything else that they need is their own; nothing of them lies on the stack of who runs the
// application. From the request's end on they are detached, and say so.
// Thread: any, with the GIL (in free-threaded Python, under the lock of the write object).
#pragma once

#include <vector>

#include "engine/engine.hpp"
#include "python/body_reader.hpp"
#include "python/ref.hpp"
#include "python/state.hpp"

namespace mono::python {

// PEP 3333's write() callable, and the state that its companions share with it.
struct WriteObject {
    PyObject_HEAD vectorcallfunc vectorcall;
    PyObject* engine;             // the Engine object; nullptr: the request is over
    PyObject* exchange_object;    // nested: the Exchange object; nullptr like engine
    session::Exchange* exchange;  // its head is filled until the answer has begun; nullptr likewise
    engine::Handle handle;
    bool begun;       // somebody has begun to write: the head is the engine's
    bool gone;        // the client has left
    bool taken;       // the application speaks to it by the socket, and nobody else
    int64_t mute_ms;  // since when nothing was written though the client has sent FIN; 0: it was
};

// The Engine object, which lives as long as a call of the application needs it; empty, without an
// exception: the request is over.
Ref hold_engine(WriteObject* write);
PyObject* raise_over(const char* what);

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

// The connection is the application's own from now on (Engine::give_away).
void take_connection(WriteObject* write);

struct InputObject {
    PyObject_HEAD WriteObject* write;
    uint64_t size;    // of a whole body
    uint64_t offset;  // in it
    bool spilled;
    std::shared_ptr<BodyReader> reader;  // of a body that streams in; else nullptr
};
PyObject* make_input(PyTypeObject* type);

// Latin-1 text of a str without a copy; false with ValueError set when it has wider characters.
bool latin1_view(PyObject* text, const char* what, std::string_view& view);

// Seconds of a deadline as milliseconds; false with an exception set.
bool read_span_ms(PyObject* seconds, int64_t& span_ms);

// Sends `piece` (bytes), keeping a reference to it as long as the engine needs it. A client that
// has gone shows in write->gone too.
engine::WriteStatus send_piece(engine::Engine& engine, WriteObject* write, PyObject* piece,
                               bool last);
// Behind a piece that others follow. A nested engine cannot make its thread wait: the runner waits
// in its own way. False with an exception set.
bool wait_for_room(PyObject* engine_object, WriteObject* write);

// For an application that gives empty pieces only: whether its client has left. True: write->gone.
bool client_left(engine::Engine& engine, WriteObject* write);

// The objects of one slot.
class CallObjects {
  public:
    explicit CallObjects(ModuleState* state) : state_(state) {}
    // Ready for `exchange`; false with an exception set.
    bool attach(PyObject* engine_object, session::Exchange& exchange, PyObject* exchange_object);
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
    // The client's socket where the application has asked for it, else nullptr.
    PyObject* shared_socket() const {
        if (!client_socket_) return nullptr;
        return reinterpret_cast<ClientSocketObject*>(client_socket_.get())->socket;
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
