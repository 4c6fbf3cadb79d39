// The pieces of the ASGI binding (ASGI 3.0): ready awaitables, scopes, messages,
// and the channel of one request. The loop's thread only.
#pragma once

#include "engine/engine.hpp"
#include "python/ref.hpp"
#include "python/state.hpp"

namespace mono::python {

// An awaitable: Exchange.send(message), or Exchange.receive() where message is nullptr. A new
// reference, or nullptr with an exception set.
PyObject* make_operation(PyTypeObject* type, PyObject* exchange, PyObject* message);

// What every request of an ASGI worker shares: interned texts and the loop's bound methods.
struct AsgiShared {
    // False with an exception set. `loop`: for create_future. `base_scopes`: one a listener:
    // asgi, server, root_path, scheme.
    bool init(const ModuleState& state, PyObject* loop, PyObject* base_scopes, PyObject* app_state);
    bool init_texts();
    bool init_bases(PyObject* scopes);

    Ref create_future;
    Ref base_scopes;
    Ref app_state;  // the lifespan's state; each scope gets a shallow copy
    // interned
    Ref type, body, more_body, status, headers, http_request, http_disconnect, response_start,
        response_body, response_informational, trailers;
    Ref websocket, subprotocols, subprotocol, text, bytes, code, reason, extensions, ws_connect,
        ws_receive, ws_disconnect, ws_accept, ws_send, ws_close, denial_start, denial_body;
    Ref denial_extension, monoceros_extension, request_id, trace_id, times, asgi;
    PyTypeObject* times_type = nullptr;  // the module's
    // With their keys already: a copy need not grow.
    Ref extensions_base;  // {"monoceros": None}
    Ref facts_base;       // {"request_id": None, "times": None}
    Ref method, path, raw_path, root_path, query_string, scheme, http_version, client, state_key,
        https, wss, ws;
    Ref version_1_0, version_1_1, version_2, tls_extension, variables, empty_bytes;
    bool farewells = true;  // event streams hear of a drain by http.disconnect
};

// What logs call a request, whatever the application does to its scope.
struct RequestName {
    Ref method, path;
};

// The http scope of a request: a new dict; an empty Ref with an exception set. Fills `name`.
Ref make_http_scope(const AsgiShared& shared, const session::Exchange& exchange, RequestName& name);

// Header names in lower case and values, as bytes, in order.
Ref make_header_list(const session::Exchange& exchange);

// Adds the message's "headers" to `head`; false with an exception.
bool add_fields_from_message(const AsgiShared& shared, PyObject* message, http::ResponseHead& head);

// Fills `head` from an http.response.start (or informational) message; false with an exception.
bool fill_head_from_message(const AsgiShared& shared, PyObject* message, http::ResponseHead& head);

}  // namespace mono::python
