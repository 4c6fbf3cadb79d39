// AsgiChannel: the state of one ASGI HTTP request between receive() and send(). contract/asgi.md,
// sections 4 and 5. Owned by the Python object Exchange (exchange_type.cpp); the loop's thread
// only.
//
//   receive: http.request ... (more_body False) | http.disconnect once the client or we are done
//   send:    http.response.start, then http.response.body ... (more_body False)
#pragma once

#include "python/asgi_objects.hpp"
#include "python/engine_parts.hpp"

namespace mono::python {

class AsgiChannel {
  public:
    AsgiChannel(EngineParts& parts, session::Exchange* exchange)
        : parts_(parts), exchange_(exchange) {}
    virtual ~AsgiChannel();
    AsgiChannel(const AsgiChannel&) = delete;
    AsgiChannel& operator=(const AsgiChannel&) = delete;

    // New awaitables, or nullptr with an exception set.
    virtual PyObject* receive();
    virtual PyObject* send(PyObject* message);
    virtual Ref scope() const;
    // Something happened to the exchange: whoever waits is told. False with an exception set.
    virtual bool on_event(engine::EventKind kind);
    // The application has returned or raised. Answers 500 or cuts the connection where it left the
    // response unfinished. True: it had answered completely.
    virtual bool close(bool failed);

    bool started() const { return started_; }
    bool gone() const { return exchange_ == nullptr || exchange_->link == nullptr; }
    session::Exchange* exchange() const { return exchange_; }

  protected:
    virtual Ref next_message();
    PyObject* wait_for_message();
    Ref disconnect_message();
    PyObject* start(PyObject* message);
    PyObject* body(PyObject* message);
    PyObject* informational(PyObject* message);
    PyObject* after_write(bool last);
    bool wake(Ref& future, Ref value);
    PyObject* wait_for_room();
    void give_back(bool whole);

    static constexpr std::string_view kForbidden =
        "HTTP/1.1 403 Forbidden\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

    EngineParts& parts_;
    session::Exchange* exchange_;  // nullptr: given back
    Ref receiving_;                // futures that somebody awaits
    Ref sending_;
    bool body_received_ = false;  // more_body False was given out
    bool started_ = false;        // http.response.start was accepted
    bool complete_ = false;       // the last body piece was accepted
};

// The channel that fits the request: HTTP, or a WebSocket's (asgi_websocket.cpp).
AsgiChannel* make_channel(EngineParts& parts, session::Exchange* exchange);

}  // namespace mono::python
