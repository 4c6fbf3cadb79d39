// Scopes and messages: from a request's head to ASGI dicts, and from a response message to a head.
#include <cstring>

#include "http/response_head.hpp"
#include "http/target.hpp"
#include "python/asgi_objects.hpp"
#include "python/connection_facts.hpp"
#include "python/request_times.hpp"

namespace mono::python {
namespace {

Ref bytes_of(std::string_view text) {
    return Ref(PyBytes_FromStringAndSize(text.data(), static_cast<Py_ssize_t>(text.size())));
}

Ref lower_bytes(std::string_view name) {
    PyObject* bytes = PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(name.size()));
    if (bytes == nullptr) return Ref();
    char* out = PyBytes_AS_STRING(bytes);
    for (size_t i = 0; i < name.size(); ++i) {
        char byte = name[i];
        out[i] = byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte - 'A' + 'a') : byte;
    }
    return Ref(bytes);
}

bool set(const Ref& dict, const Ref& key, Ref value) {
    return value && PyDict_SetItem(dict.get(), key.get(), value.get()) == 0;
}

// Percent-decoded UTF-8; what is no UTF-8 becomes U+FFFD.
Ref decoded_text(std::string_view path) {
    std::string decoded(path.size(), '\0');
    size_t length = http::percent_decode(path, decoded.data());
    return Ref(PyUnicode_DecodeUTF8(decoded.data(), static_cast<Py_ssize_t>(length), "replace"));
}

Ref path_text(const session::Exchange& exchange) {
    std::string_view path = exchange.text(exchange.head.path);
    return exchange.head.path_plain ? latin1_text(path) : decoded_text(path);
}

// Where a proxy says that the application is mounted; else the base scope has what settings say.
bool add_root_path(const AsgiShared& shared, const Ref& scope, const session::Exchange& exchange) {
    if (!exchange.head.by_gateway || exchange.script_name.empty()) return true;
    return set(scope, shared.root_path, decoded_text(exchange.text(exchange.script_name)));
}

Ref client_of(const session::PeerInfo& peer) {
    if (peer.host.empty()) return Ref::borrow(Py_None);
    return Ref(Py_BuildValue("(s#i)", peer.host.data(), static_cast<Py_ssize_t>(peer.host.size()),
                             static_cast<int>(peer.port)));
}

bool raise_fault(http::HeadFault fault) {
    const std::string text(http::describe(fault));
    PyErr_SetString(PyExc_RuntimeError, text.c_str());
    return false;
}

bool view_of(PyObject* object, std::string_view& view) {
    if (PyBytes_Check(object)) {
        view = {PyBytes_AS_STRING(object), static_cast<size_t>(PyBytes_GET_SIZE(object))};
        return true;
    }
    PyErr_SetString(PyExc_TypeError, "header names and values must be bytes");
    return false;
}

bool add_header(http::ResponseHead& head, PyObject* pair) {
    Ref items(PySequence_Fast(pair, "a header must be a (name, value) pair"));
    if (!items) return false;
    Ref first = item_at(items.get(), 0);
    Ref second = item_at(items.get(), 1);
    if (!first || !second || item_at(items.get(), 2)) {
        PyErr_SetString(PyExc_ValueError, "a header must be a (name, value) pair");
        return false;
    }
    std::string_view name;
    std::string_view value;
    if (!view_of(first.get(), name) || !view_of(second.get(), value)) return false;
    http::HeadFault fault = head.add(name, value);
    return fault == http::HeadFault::kNone || raise_fault(fault);
}

}  // namespace

bool AsgiShared::init(const ModuleState& state, PyObject* loop, PyObject* scopes,
                      PyObject* lifespan_state) {
    empty_bytes.reset(PyBytes_FromStringAndSize(nullptr, 0));
    create_future.reset(PyObject_GetAttrString(loop, "create_future"));
    app_state = Ref::borrow(lifespan_state);
    times_type = state.request_times;
    return empty_bytes && create_future && init_texts() && init_bases(scopes);
}

bool AsgiShared::init_bases(PyObject* scopes) {
    extensions_base.reset(Py_BuildValue("{O:O}", monoceros_extension.get(), Py_None));
    facts_base.reset(Py_BuildValue("{O:O,O:O}", request_id.get(), Py_None, times.get(), Py_None));
    base_scopes.reset(PyList_New(0));
    if (!extensions_base || !facts_base || !base_scopes) return false;
    const Ref* const always[] = {&http_version, &method,  &path,   &raw_path,
                                 &query_string, &headers, &client, &extensions};
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(scopes); ++i) {
        Ref base(PyDict_Copy(PyList_GET_ITEM(scopes, i)));
        if (!base) return false;
        for (const Ref* key : always) {
            if (!set(base, *key, Ref::borrow(Py_None))) return false;
        }
        if (PyList_Append(base_scopes.get(), base.get()) < 0) return false;
    }
    return true;
}

bool AsgiShared::init_texts() {
    struct Text {
        Ref& target;
        const char* text;
    };
    Text texts[] = {{type, "type"},
                    {body, "body"},
                    {more_body, "more_body"},
                    {status, "status"},
                    {headers, "headers"},
                    {http_request, "http.request"},
                    {http_disconnect, "http.disconnect"},
                    {response_start, "http.response.start"},
                    {response_body, "http.response.body"},
                    {response_informational, "http.response.informational"},
                    {trailers, "trailers"},
                    {method, "method"},
                    {path, "path"},
                    {raw_path, "raw_path"},
                    {root_path, "root_path"},
                    {query_string, "query_string"},
                    {scheme, "scheme"},
                    {http_version, "http_version"},
                    {client, "client"},
                    {state_key, "state"},
                    {https, "https"},
                    {wss, "wss"},
                    {ws, "ws"},
                    {version_1_0, "1.0"},
                    {version_1_1, "1.1"},
                    {version_2, "2"},
                    {tls_extension, "tls"},
                    {variables, "variables"},
                    {websocket, "websocket"},
                    {subprotocols, "subprotocols"},
                    {subprotocol, "subprotocol"},
                    {text, "text"},
                    {bytes, "bytes"},
                    {code, "code"},
                    {reason, "reason"},
                    {extensions, "extensions"},
                    {ws_connect, "websocket.connect"},
                    {ws_receive, "websocket.receive"},
                    {ws_disconnect, "websocket.disconnect"},
                    {ws_accept, "websocket.accept"},
                    {ws_send, "websocket.send"},
                    {ws_close, "websocket.close"},
                    {denial_start, "websocket.http.response.start"},
                    {denial_body, "websocket.http.response.body"},
                    {denial_extension, "websocket.http.response"},
                    {monoceros_extension, "monoceros"},
                    {request_id, "request_id"},
                    {trace_id, "trace_id"},
                    {times, "times"},
                    {asgi, "asgi"}};
    for (Text& entry : texts) {
        entry.target.reset(PyUnicode_InternFromString(entry.text));
        if (!entry.target) return false;
    }
    return true;
}

Ref make_header_list(const session::Exchange& exchange) {
    Ref list(PyList_New(static_cast<Py_ssize_t>(exchange.head.fields.size())));
    if (!list) return Ref();
    Py_ssize_t at = 0;
    for (const http::Field& field : exchange.head.fields) {
        Ref name = lower_bytes(field.name_in(exchange.bytes.data()));
        Ref value = bytes_of(exchange.text(field.value));
        if (!name || !value) return Ref();
        PyObject* pair = PyTuple_Pack(2, name.get(), value.get());
        if (pair == nullptr) return Ref();
        PyList_SET_ITEM(list.get(), at++, pair);
    }
    return list;
}

namespace {

// Dicts of this request's own: an application may put into them what it likes.
Ref make_extensions(const AsgiShared& shared, const session::Exchange& exchange) {
    Ref extensions(PyDict_Copy(shared.extensions_base.get()));
    Ref ours(extensions ? PyDict_Copy(shared.facts_base.get()) : nullptr);
    const session::Facts* facts = exchange.peer.facts.get();
    const bool tls = facts != nullptr && facts->tls;
    bool made = ours && set(ours, shared.request_id, latin1_text(exchange.request_id())) &&
                set(ours, shared.times, make_request_times(shared.times_type, exchange)) &&
                (exchange.trace_id.empty() ||
                 set(ours, shared.trace_id, latin1_text(exchange.text(exchange.trace_id)))) &&
                (facts == nullptr || set(ours, shared.variables, make_variables(*facts))) &&
                (!tls || set(extensions, shared.tls_extension, make_tls_extension(*facts->tls))) &&
                set(extensions, shared.monoceros_extension, std::move(ours));
    return made ? std::move(extensions) : Ref();
}

Ref own_versions(const AsgiShared& shared, PyObject* base) {
    PyObject* versions = PyDict_GetItemWithError(base, shared.asgi.get());
    return versions == nullptr ? Ref(PyDict_New()) : Ref(PyDict_Copy(versions));
}

}  // namespace

Ref make_http_scope(const AsgiShared& shared, const session::Exchange& exchange,
                    RequestName& name) {
    PyObject* base = PyList_GetItem(shared.base_scopes.get(), exchange.peer.listener);
    if (base == nullptr) return Ref();
    Ref scope(PyDict_Copy(base));
    if (!scope) return Ref();
    const http::RequestHead& head = exchange.head;
    bool old = head.version_major == 1 && head.version_minor == 0;
    bool https = exchange.https();
    const bool has_state = shared.app_state.get() != Py_None;
    name.method = latin1_text(exchange.text(head.method));
    name.path = path_text(exchange);
    bool made =
        set(scope, shared.asgi, own_versions(shared, base)) &&
        set(scope, shared.http_version,
            Ref::borrow((head.of_stream ? shared.version_2
                         : old          ? shared.version_1_0
                                        : shared.version_1_1)
                            .get())) &&
        name.method && name.path && set(scope, shared.method, Ref::borrow(name.method.get())) &&
        set(scope, shared.path, Ref::borrow(name.path.get())) &&
        set(scope, shared.raw_path, bytes_of(exchange.text(head.path))) &&
        set(scope, shared.query_string, bytes_of(exchange.text(head.query))) &&
        set(scope, shared.headers, make_header_list(exchange)) &&
        set(scope, shared.client, client_of(exchange.peer)) &&
        set(scope, shared.extensions, make_extensions(shared, exchange)) &&
        add_root_path(shared, scope, exchange) &&
        (!https || set(scope, shared.scheme, Ref::borrow(shared.https.get()))) &&
        (!has_state || set(scope, shared.state_key, Ref(PyDict_Copy(shared.app_state.get()))));
    return made ? std::move(scope) : Ref();
}

bool add_fields_from_message(const AsgiShared& shared, PyObject* message,
                             http::ResponseHead& head) {
    PyObject* headers = PyDict_GetItemWithError(message, shared.headers.get());
    if (headers == nullptr || headers == Py_None) return !PyErr_Occurred();
    Ref items(PySequence_Fast(headers, "headers must be iterable"));
    if (!items) return false;
    for (Py_ssize_t i = 0; Ref item = item_at(items.get(), i); ++i) {
        if (!add_header(head, item.get())) return false;
    }
    return true;
}

bool fill_head_from_message(const AsgiShared& shared, PyObject* message, http::ResponseHead& head) {
    PyObject* status = PyDict_GetItemWithError(message, shared.status.get());
    long code = status == nullptr ? -1 : PyLong_AsLong(status);
    if (code < 100 || code > 999) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_RuntimeError, "a response needs an int status of 100 to 999");
        return false;
    }
    std::string line =
        std::to_string(code) + " " + std::string(http::reason_phrase(static_cast<uint16_t>(code)));
    http::HeadFault fault = head.set_status(line);
    if (fault != http::HeadFault::kNone) return raise_fault(fault);
    return add_fields_from_message(shared, message, head);
}

}  // namespace mono::python
