#include "python/asgi_websocket.hpp"

#include "http/bounds.hpp"

namespace mono::python {

AsgiChannel* make_channel(EngineParts& parts, session::Exchange* exchange) {
    if (!websocket::is_opening(exchange->bytes.data(), exchange->head))
        return new AsgiChannel(parts, exchange);
    websocket::Opening opening;
    websocket::Refusal refusal =
        websocket::read_opening(exchange->bytes.data(), exchange->head, {}, opening);
    if (refusal == websocket::Refusal::kNone) return new AsgiWebSocket(parts, exchange);
    const websocket::RefusalInfo& info = websocket::describe(refusal);
    parts.engine->log(engine::Severity::kWarning,
                      "Invalid WebSocket handshake from ip=" + exchange->peer.host + ": " +
                          std::string(info.detail) + " [" + std::string(info.rule) + "]");
    parts.engine->write_page(*exchange, info.status, websocket::refusal_page(refusal));
    parts.engine->finish(*exchange);
    return nullptr;
}

bool AsgiWebSocket::read_opening(websocket::Opening& opening) const {
    return websocket::read_opening(exchange_->bytes.data(), exchange_->head,
                                   parts_.engine->websocket_limits().deflate,
                                   opening) == websocket::Refusal::kNone;
}

Ref AsgiWebSocket::make_scope() {
    const AsgiShared& shared = *parts_.asgi;
    Ref scope = make_http_scope(shared, *exchange_, name_);
    Ref offered(PyList_New(0));
    websocket::Opening opening;
    if (!scope || !offered || !read_opening(opening)) return Ref();
    for (std::string_view name : opening.subprotocols) {
        Ref text = latin1_text(name);
        if (!text || PyList_Append(offered.get(), text.get()) < 0) return Ref();
    }
    PyObject* dict = scope.get();
    PyObject* scheme = PyDict_GetItemWithError(dict, shared.scheme.get());
    PyObject* extensions = PyDict_GetItemWithError(dict, shared.extensions.get());
    Ref denial(PyDict_New());
    bool secure = scheme != nullptr && PyUnicode_Compare(scheme, shared.https.get()) == 0;
    bool made =
        extensions != nullptr && denial && PyDict_DelItem(dict, shared.method.get()) == 0 &&
        PyDict_SetItem(dict, shared.type.get(), shared.websocket.get()) == 0 &&
        PyDict_SetItem(dict, shared.scheme.get(), (secure ? shared.wss : shared.ws).get()) == 0 &&
        PyDict_SetItem(dict, shared.subprotocols.get(), offered.get()) == 0 &&
        PyDict_SetItem(extensions, shared.denial_extension.get(), denial.get()) == 0;
    return made ? std::move(scope) : Ref();
}

Ref AsgiWebSocket::received(const session::SocketMessage& message) const {
    const AsgiShared& shared = *parts_.asgi;
    auto size = static_cast<Py_ssize_t>(message.data.size());
    Ref data(message.text ? PyUnicode_DecodeUTF8(message.data.data(), size, nullptr)
                          : PyBytes_FromStringAndSize(message.data.data(), size));
    Ref dict(PyDict_New());
    PyObject* key = (message.text ? shared.text : shared.bytes).get();
    bool made = data && dict &&
                PyDict_SetItem(dict.get(), shared.type.get(), shared.ws_receive.get()) == 0 &&
                PyDict_SetItem(dict.get(), key, data.get()) == 0;
    return made ? std::move(dict) : Ref();
}

Ref AsgiWebSocket::disconnected(const websocket::WebSocketEnd& end) const {
    const AsgiShared& shared = *parts_.asgi;
    return Ref(Py_BuildValue("{O:O,O:i,O:s#}", shared.type.get(), shared.ws_disconnect.get(),
                             shared.code.get(), static_cast<int>(end.code), shared.reason.get(),
                             end.reason.data(), static_cast<Py_ssize_t>(end.reason.size())));
}

Ref AsgiWebSocket::next_message() {
    const AsgiShared& shared = *parts_.asgi;
    if (!connect_given_) {
        connect_given_ = true;
        return Ref(Py_BuildValue("{O:O}", shared.type.get(), shared.ws_connect.get()));
    }
    session::SocketMessage message;
    if (parts_.engine->take_message(handle_, message)) return received(message);
    websocket::WebSocketEnd end;
    if (!parts_.engine->socket_ended(handle_, end)) return Ref();
    state_ = State::kEnded;
    return disconnected(end);
}

Answer AsgiWebSocket::send(PyObject* message) {
    if (!PyDict_Check(message)) {
        PyErr_SetString(PyExc_TypeError, "an ASGI message must be a dict");
        return failed();
    }
    const AsgiShared& shared = *parts_.asgi;
    PyObject* type = PyDict_GetItemWithError(message, shared.type.get());
    if (type == nullptr || !PyUnicode_Check(type)) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_RuntimeError, "an ASGI message needs a type");
        return failed();
    }
    auto is = [type](const Ref& name) { return PyUnicode_Compare(type, name.get()) == 0; };
    if (is(shared.ws_send)) return send_data(message);
    if (is(shared.ws_accept)) return accept(message);
    if (is(shared.ws_close)) return send_close(message);
    bool denial = state_ == State::kConnecting;
    if (denial && is(shared.denial_start)) {
        denying_ = true;
        return start(message);
    }
    if (denial && denying_ && is(shared.denial_body)) return body(message);
    PyErr_Format(PyExc_RuntimeError, "the message type %R is not expected now", type);
    return failed();
}

Answer AsgiWebSocket::accept(PyObject* message) {
    const AsgiShared& shared = *parts_.asgi;
    if (state_ != State::kConnecting || denying_) {
        PyErr_SetString(PyExc_RuntimeError, "the WebSocket was answered already");
        return failed();
    }
    if (gone()) return raise_gone();
    // It points into the exchange, and so is used up before any Python runs.
    websocket::Opening opening;
    if (exchange_ == nullptr || !read_opening(opening)) return raise_gone();
    std::string_view chosen;
    PyObject* name = PyDict_GetItemWithError(message, shared.subprotocol.get());
    if (name != nullptr && name != Py_None && !latin1_view(name, "a subprotocol", chosen))
        return failed();
    http::ResponseHead answer;
    http::HeadFault fault = websocket::accept_ws(opening, chosen, answer);
    if (fault == http::HeadFault::kNone && !add_fields_from_message(shared, message, answer))
        return failed();
    if (fault != http::HeadFault::kNone) {
        PyErr_SetString(PyExc_ValueError, "the subprotocol is not a token");
        return failed();
    }
    http::ResponseHead::Context context;
    context.connection = "Upgrade";
    std::string head(answer.size_max(context), '\0');
    head.resize(answer.write(context, head.data()));
    // A client that has closed by now was accepted all the same: receive() tells what it said.
    if (!parts_.engine->upgrade(handle_, head, opening.deflate)) return raise_gone();
    state_ = State::kAccepted;
    return done();
}

Answer AsgiWebSocket::send_data(PyObject* message) {
    const AsgiShared& shared = *parts_.asgi;
    if (state_ == State::kConnecting) {
        PyErr_SetString(PyExc_RuntimeError, "websocket.accept was not sent");
        return failed();
    }
    if (state_ == State::kEnded || gone()) return raise_gone();
    PyObject* text = PyDict_GetItemWithError(message, shared.text.get());
    bool is_text = text != nullptr && text != Py_None;
    PyObject* bytes = is_text ? nullptr : PyDict_GetItemWithError(message, shared.bytes.get());
    engine::Piece piece;
    Ref owner;
    if (is_text) {
        Py_ssize_t size = 0;
        const char* data = PyUnicode_AsUTF8AndSize(text, &size);
        if (data == nullptr) return failed();
        piece.bytes = {data, static_cast<size_t>(size)};
        owner = Ref::borrow(text);
    } else if (bytes != nullptr && bytes != Py_None) {
        owner = PyBytes_Check(bytes) ? Ref::borrow(bytes) : Ref(PyBytes_FromObject(bytes));
        if (!owner) return failed();
        piece.bytes = {PyBytes_AS_STRING(owner.get()),
                       static_cast<size_t>(PyBytes_GET_SIZE(owner.get()))};
    } else {
        PyErr_SetString(PyExc_RuntimeError, "websocket.send needs text or bytes");
        return failed();
    }
    if (piece.bytes.size() > http::kCopiedBytesMax) piece.owner = owner.get();
    engine::WriteStatus status;
    {
        WithoutGil without;
        status = parts_.engine->send_message(handle_, piece, is_text);
    }
    if (status == engine::WriteStatus::kKept) owner.release();
    if (status == engine::WriteStatus::kGone || status == engine::WriteStatus::kOver)
        return raise_gone();
    return wait_for_room();
}

Answer AsgiWebSocket::send_close(PyObject* message) {
    const AsgiShared& shared = *parts_.asgi;
    if (state_ == State::kConnecting && !denying_) {
        state_ = State::kEnded;
        if (!gone()) parts_.engine->write_page(handle_, 403, kForbidden);
        give_back(true);
        return done();
    }
    long code = 1000;
    PyObject* given = PyDict_GetItemWithError(message, shared.code.get());
    if (given != nullptr && given != Py_None) code = PyLong_AsLong(given);
    if (code == -1 && PyErr_Occurred()) return failed();
    Py_ssize_t size = 0;
    const char* reason = "";
    PyObject* why = PyDict_GetItemWithError(message, shared.reason.get());
    if (why != nullptr && why != Py_None) reason = PyUnicode_AsUTF8AndSize(why, &size);
    if (reason == nullptr) return failed();
    if (state_ == State::kAccepted && !gone())
        parts_.engine->close_socket(handle_, static_cast<uint16_t>(code),
                                    {reason, static_cast<size_t>(size)});
    state_ = State::kEnded;
    return done();
}

bool AsgiWebSocket::finish(bool failed) {
    if (exchange_ == nullptr) return true;
    if (state_ == State::kConnecting && denying_) return AsgiChannel::finish(failed);
    if (state_ == State::kConnecting && !gone()) {
        if (failed) {
            parts_.engine->write_error(handle_, 500, "");
        } else {
            parts_.engine->write_page(handle_, 403, kForbidden);
        }
    } else if (state_ == State::kAccepted && !gone()) {
        parts_.engine->close_socket(handle_, failed ? 1011 : 1000, "");
    }
    give_back(true);
    return true;
}

}  // namespace mono::python
