// AsgiChannel: the state of one ASGI HTTP request between receive() and send(). Owned by the Python
// object Exchange (exchange_type.cpp). With the GIL, as a rule in the loop's thread; but whatever
// gives up the GIL, or runs Python, may find that another thread has gone on with the request, or
// ended it, and asks the engine by the handle.
//
//   receive: http.request ... (more_body False) | http.disconnect once the client or we are done
//   send:    http.response.start, then http.response.body ... (more_body False)
#pragma once

#include <vector>

#include "python/asgi_objects.hpp"
#include "python/engine_parts.hpp"

namespace mono::python {

// What receive() or send() came to: a value, a future to wait for first, or, with an exception set,
// neither.
struct Answer {
    Ref value;
    Ref future;
};

// Futures of operations that wait for the same thing. They are only told that it may be there.
class Waiters {
  public:
    // A new one; forgets those that have been cancelled.
    Answer add(PyObject* create_future);
    // False with an exception set.
    bool wake();
    int traverse(visitproc visit, void* arg) const;

  private:
    std::vector<Ref> futures_;
};

class AsgiChannel {
  public:
    AsgiChannel(EngineParts& parts, session::Exchange* exchange)
        : parts_(parts),
          exchange_(exchange),
          handle_(*exchange),
          streamed_(exchange->streamed),
          body_size_(exchange->body.size()) {}
    virtual ~AsgiChannel();
    AsgiChannel(const AsgiChannel&) = delete;
    AsgiChannel& operator=(const AsgiChannel&) = delete;

    // After the wait for a future, receive() is to be asked again; send() is done then.
    Answer receive();
    virtual Answer send(PyObject* message);
    // Once; empty with an exception set afterwards.
    Ref scope();
    // Something happened to the exchange: whoever waits is told. False with an exception set.
    virtual bool on_event(engine::EventKind kind);
    // The application has returned or raised. Answers 500 or cuts the connection where it left the
    // response unfinished. True: it had answered completely, or its client had left.
    bool close(bool failed);

    // Nobody will: what the application has begun is cut off.
    void abandon() { give_back(false); }
    // The tuple (type, method, path), for logs: the application may change its scope.
    Ref about() const;
    virtual bool is_http() const { return true; }
    // The client has left, or the request is over.
    bool gone() const { return parts_.engine->gone(handle_); }
    // The answer cannot reach its client any more.
    bool broken() const { return exchange_ != nullptr && !complete_ && !delivered() && gone(); }
    // The client has left with all of the answer that was announced: it has missed nothing, though
    // the application has not said its last word yet (Starlette's BaseHTTPMiddleware says it late).
    bool delivered() const { return exchange_ != nullptr && exchange_->delivered; }
    // For send(): an OSError, as ASGI 2.4 has it.
    Answer raise_gone() const;
    int traverse(visitproc visit, void* arg) const;

  protected:
    // What receive() can say now; empty without an exception: nothing yet.
    virtual Ref next_message();
    Ref next_piece();
    Ref body_message(Ref bytes);
    virtual bool finish(bool failed);
    Ref disconnect_message();
    Answer start(PyObject* message);
    Answer body(PyObject* message);
    Answer informational(PyObject* message);
    // lost: the client has gone
    Answer after_write(bool last, bool lost);
    Answer wait_for_room();
    virtual Ref make_scope();
    void give_back(bool whole);
    static Answer raise_over();
    static Answer done() { return {Ref::borrow(Py_None), Ref()}; }
    static Answer failed() { return {}; }

    static constexpr std::string_view kForbidden =
        "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

    EngineParts& parts_;
    session::Exchange* exchange_;  // nullptr: given back. Not across Python code
    const engine::Handle handle_;
    const bool streamed_;
    const uint64_t body_size_;  // of a whole body
    Waiters receiving_;
    Waiters sending_;
    uint64_t body_offset_ = 0;    // of a whole body
    bool body_received_ = false;  // more_body False was given out
    RequestName name_;            // once the scope was given
    bool scope_given_ = false;
    bool started_ = false;   // http.response.start was accepted
    bool begun_ = false;     // a body was given to the engine: the head is its own
    bool complete_ = false;  // the last body piece was accepted
    bool farewell_ = false;  // the worker stops: the stream is to end
};

// The channel of an Exchange (exchange_type.cpp); nullptr with an exception set.
AsgiChannel* channel_of(PyObject* exchange);

// The channel that fits the request: HTTP, or a WebSocket's (asgi_websocket.cpp).
AsgiChannel* make_channel(EngineParts& parts, session::Exchange* exchange);

}  // namespace mono::python
