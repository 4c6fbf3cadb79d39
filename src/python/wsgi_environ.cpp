#include "python/wsgi_environ.hpp"

#include <cstring>

#include "http/target.hpp"
#include "python/connection_facts.hpp"

namespace mono::python {
namespace {

constexpr const char* kKeyNames[] = {
    "REQUEST_METHOD",     "RAW_URI",         "PATH_INFO",
    "QUERY_STRING",       "SERVER_PROTOCOL", "SCRIPT_NAME",
    "REMOTE_ADDR",        "REMOTE_PORT",     "SERVER_NAME",
    "SERVER_PORT",        "wsgi.url_scheme", "wsgi.input",
    "wsgi.early_hints",   "gunicorn.socket", "monoceros.request_id",
    "monoceros.trace_id", "monoceros.times", "monoceros.extend_timeout"};
constexpr std::string_view kMethodNames[] = {"GET",   "POST",   "HEAD",   "PUT",
                                             "PATCH", "DELETE", "OPTIONS"};
constexpr size_t kGet = 0;

Ref ascii_text(std::string_view text) {
    PyObject* object = PyUnicode_New(static_cast<Py_ssize_t>(text.size()), 127);
    if (object != nullptr && !text.empty())
        std::memcpy(PyUnicode_1BYTE_DATA(object), text.data(), text.size());
    return Ref(object);
}

// PEP 3333: repeated fields are one value, joined by commas.
bool join(PyObject* environ, PyObject* key, PyObject* earlier, PyObject* value) {
    Ref joined(PyUnicode_FromFormat("%U,%U", earlier, value));
    return joined && PyDict_SetItem(environ, key, joined.get()) == 0;
}

Ref percent_decoded(std::string_view text) {
    std::string decoded(text.size(), '\0');
    decoded.resize(http::percent_decode(text, decoded.data()));
    return latin1_text(decoded);
}

}  // namespace

bool EnvironMaker::init() {
    for (size_t i = 0; i < kKeyCount; ++i) {
        keys_[i].reset(PyUnicode_InternFromString(kKeyNames[i]));
        if (!keys_[i]) return false;
    }
    for (size_t i = 1; i < field_keys_.size(); ++i) {
        std::string key(http::environ_key(static_cast<http::KnownField>(i)));
        field_keys_[i].reset(PyUnicode_InternFromString(key.c_str()));
        if (!field_keys_[i]) return false;
    }
    for (size_t i = 0; i < kMethods; ++i) {
        methods_[i].reset(PyUnicode_InternFromString(kMethodNames[i].data()));
        if (!methods_[i]) return false;
    }
    http_1_1_.reset(PyUnicode_InternFromString("HTTP/1.1"));
    http_1_0_.reset(PyUnicode_InternFromString("HTTP/1.0"));
    http_.reset(PyUnicode_InternFromString("http"));
    https_.reset(PyUnicode_InternFromString("https"));
    empty_.reset(PyUnicode_InternFromString(""));
    return http_1_1_ && http_1_0_ && http_ && https_ && empty_;
}

// With what base() adds, this has every key that each request sets, because a dict that need not
// grow is copied in half the time; and the values that most of them have.
bool EnvironMaker::add_listener(PyObject* base, bool unix_socket) {
    constexpr Key kAlways[] = {kRawUri, kPathInfo, kQueryString, kRemoteAddr, kRequestId};
    ListenerEnviron listener{Ref(PyDict_Copy(base)), unix_socket};
    PyObject* environ = listener.base.get();
    if (environ == nullptr || !set(environ, kRequestMethod, Ref::borrow(methods_[kGet].get())) ||
        !set(environ, kServerProtocol, Ref::borrow(http_1_1_.get())))
        return false;
    for (Key key : kAlways) {
        if (!set(environ, key, Ref::borrow(empty_.get()))) return false;
    }
    if (!unix_socket && !set(environ, kRemotePort, Ref::borrow(empty_.get()))) return false;
    listeners_.push_back(std::move(listener));
    return true;
}

PyObject* EnvironMaker::base(size_t listener, CallObjects& objects) const {
    Ref& kept = objects.base(listener);
    if (kept) return kept.get();
    Ref made(PyDict_Copy(listeners_[listener].base.get()));
    PyObject* environ = made.get();
    if (environ == nullptr || !set(environ, kInput, Ref::borrow(objects.input())) ||
        !set(environ, kEarlyHints, Ref::borrow(objects.early_hints())) ||
        !set(environ, kClientSocket, Ref::borrow(objects.client_socket())) ||
        !set(environ, kTimes, Ref::borrow(objects.times())))
        return nullptr;
    PyObject* extend = objects.extend_timeout();
    if (extend != nullptr && !set(environ, kExtendTimeout, Ref::borrow(extend))) return nullptr;
    kept = std::move(made);
    return kept.get();
}

int EnvironMaker::traverse(visitproc visit, void* arg) const {
    for (const ListenerEnviron& listener : listeners_) Py_VISIT(listener.base.get());
    return 0;
}

void EnvironMaker::clear() { listeners_.clear(); }

bool EnvironMaker::set(PyObject* environ, Key key, Ref value) const {
    return value && PyDict_SetItem(environ, keys_[key].get(), value.get()) == 0;
}

Ref EnvironMaker::method_text(std::string_view method) const {
    for (size_t i = 0; i < kMethods; ++i) {
        if (method == kMethodNames[i]) return Ref::borrow(methods_[i].get());
    }
    return ascii_text(method);
}

Ref EnvironMaker::protocol_text(const http::RequestHead& head) const {
    if (head.version_major == 1 && head.version_minor == 0) return Ref::borrow(http_1_0_.get());
    return Ref(PyUnicode_FromFormat("HTTP/%u.%u", static_cast<unsigned>(head.version_major),
                                    static_cast<unsigned>(head.version_minor)));
}

// The script name is a prefix of the undecoded path (session/connection.cpp has checked it).
bool EnvironMaker::add_path(PyObject* environ, std::string_view path, bool plain,
                            std::string_view script_name) const {
    path.remove_prefix(script_name.size());
    if (plain) return set(environ, kPathInfo, ascii_text(path));
    return set(environ, kPathInfo, percent_decoded(path));
}

bool EnvironMaker::add_target(PyObject* environ, const session::Exchange& exchange,
                              std::string_view script_name) const {
    const http::RequestHead& head = exchange.head;
    Ref target = ascii_text(exchange.text(head.target));
    if (!set(environ, kRawUri, Ref::borrow(target.get()))) return false;
    bool same = head.path_plain && script_name.empty() && head.path.length == head.target.length;
    if (same) return set(environ, kPathInfo, std::move(target));
    return add_path(environ, exchange.text(head.path), head.path_plain, script_name);
}

bool EnvironMaker::add_request_line(PyObject* environ, const session::Exchange& exchange,
                                    std::string_view script_name) const {
    const http::RequestHead& head = exchange.head;
    std::string_view query = exchange.text(head.query);
    if (!exchange.script_name.empty()) script_name = exchange.text(exchange.script_name);
    bool https = exchange.https();
    bool plain_http = exchange.scheme == http::Scheme::kHttp;
    // What the base has already is left as it is.
    const bool get = exchange.text(head.method) == kMethodNames[kGet];
    const bool http_1_1 = head.version_major == 1 && head.version_minor == 1;
    return (get || set(environ, kRequestMethod, method_text(exchange.text(head.method)))) &&
           (query.empty() || set(environ, kQueryString, ascii_text(query))) &&
           (http_1_1 || set(environ, kServerProtocol, protocol_text(head))) &&
           // A uwsgi packet's is encoded here, as the target is; a header's is what it is.
           (script_name.empty() ||
            set(environ, kScriptName,
                head.by_gateway ? percent_decoded(script_name) : latin1_text(script_name))) &&
           (!https || set(environ, kUrlScheme, Ref::borrow(https_.get()))) &&
           (!plain_http || set(environ, kUrlScheme, Ref::borrow(http_.get()))) &&
           add_target(environ, exchange, script_name);
}

bool EnvironMaker::add_peer(PyObject* environ, const session::Exchange& exchange) const {
    const session::PeerInfo& peer = exchange.peer;
    if (peer.host.empty()) return set(environ, kRemoteAddr, Ref::borrow(empty_.get()));
    char port[8];
    size_t at = sizeof port;
    unsigned number = peer.port;
    do {
        port[--at] = static_cast<char>('0' + number % 10);
        number /= 10;
    } while (number != 0);
    return set(environ, kRemoteAddr, ascii_text(peer.host)) &&
           set(environ, kRemotePort, ascii_text({port + at, sizeof port - at}));
}

bool EnvironMaker::add_unknown_field(PyObject* environ, std::string_view name, Ref value) const {
    PyObject* key = PyUnicode_New(static_cast<Py_ssize_t>(name.size() + 5), 127);
    if (key == nullptr) return false;
    Ref owned(key);
    auto* out = reinterpret_cast<char*>(PyUnicode_1BYTE_DATA(key));
    std::memcpy(out, "HTTP_", 5);
    for (size_t i = 0; i < name.size(); ++i) {
        char byte = name[i];
        if (byte >= 'a' && byte <= 'z') byte = static_cast<char>(byte - 'a' + 'A');
        out[5 + i] = byte == '-' ? '_' : byte;
    }
    PyObject* present = PyDict_SetDefault(environ, key, value.get());
    if (present == nullptr) return false;
    return present == value.get() || join(environ, key, present, value.get());
}

bool EnvironMaker::add_fields(PyObject* environ, const session::Exchange& exchange) const {
    static_assert(static_cast<size_t>(http::KnownField::kCount) <= 64);
    uint64_t seen = 0;
    for (const http::Field& field : exchange.head.fields) {
        std::string_view text = exchange.text(field.value);
        Ref value = field.ascii ? ascii_text(text) : latin1_text(text);
        if (!value) return false;
        if (field.known == http::KnownField::kOther) {
            if (!add_unknown_field(environ, exchange.text(field.name), std::move(value)))
                return false;
            continue;
        }
        PyObject* key = field_keys_[static_cast<size_t>(field.known)].get();
        uint64_t bit = uint64_t{1} << static_cast<unsigned>(field.known);
        PyObject* earlier = (seen & bit) != 0 ? PyDict_GetItemWithError(environ, key) : nullptr;
        seen |= bit;
        bool stored = earlier != nullptr ? join(environ, key, earlier, value.get())
                                         : PyDict_SetItem(environ, key, value.get()) == 0;
        if (!stored) return false;
    }
    return true;
}

// A unix socket has no name and port of its own: the Host field tells how the client sees us.
bool EnvironMaker::add_host_as_server(PyObject* environ, const session::Exchange& exchange) const {
    for (const http::Field& field : exchange.head.fields) {
        if (field.known != http::KnownField::kHost) continue;
        std::string_view host = exchange.text(field.value);
        size_t colon = host.rfind(':');
        bool in_brackets =
            host.find(']', colon == std::string_view::npos ? 0 : colon) != std::string_view::npos;
        std::string_view port = exchange.https() ? "443" : "80";
        if (colon != std::string_view::npos && !in_brackets) {
            if (colon + 1 < host.size()) port = host.substr(colon + 1);
            host = host.substr(0, colon);
        }
        return set(environ, kServerName, latin1_text(host)) &&
               set(environ, kServerPort, latin1_text(port));
    }
    return true;
}

Ref EnvironMaker::make(const session::Exchange& exchange, std::string_view script_name,
                       CallObjects& objects) const {
    const size_t listener = exchange.peer.listener;
    PyObject* from = base(listener, objects);
    if (from == nullptr) return Ref();
    Ref environ(PyDict_Copy(from));
    bool made =
        environ && add_request_line(environ.get(), exchange, script_name) &&
        add_peer(environ.get(), exchange) && add_fields(environ.get(), exchange) &&
        (!exchange.peer.facts || add_variables(environ.get(), *exchange.peer.facts)) &&
        (!listeners_[listener].unix_socket || add_host_as_server(environ.get(), exchange)) &&
        set(environ.get(), kRequestId, ascii_text(exchange.request_id())) &&
        (exchange.trace_id.empty() ||
         set(environ.get(), kTraceId, ascii_text(exchange.text(exchange.trace_id))));
    return made ? std::move(environ) : Ref();
}

}  // namespace mono::python
