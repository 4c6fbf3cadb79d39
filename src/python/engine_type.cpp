// Engine: the Python type that a worker makes after fork: an engine::Engine, its access log, and
// the WSGI runner over it.
#include <memory>

#include "base/clock.hpp"
#include "engine/opening_rules.hpp"
#include "http/response_head.hpp"
#include "python/engine_parts.hpp"
#include "python/scoreboard_type.hpp"
#include "python/secure.hpp"
#include "python/settings_type.hpp"
#include "python/types.hpp"
#include "python/wsgi_call.hpp"

namespace mono::python {
namespace {

constexpr int64_t kBusyTurnMs = 100;  // under load the worker's heart beats that often

EngineParts* parts_of(PyObject* self) { return engine_parts(self); }

bool raise_sentence(const std::string& sentence) {
    PyErr_SetString(PyExc_ValueError, sentence.c_str());
    return false;
}

bool open_access_log(EngineParts& parts, const config::Settings& settings, int fd) {
    auto format = log::AccessFormat::compile(settings.access_log_format);
    if (!format) return raise_sentence(format.sentence());
    log::AccessLogOptions options;
    options.path = settings.accesslog;
    options.fd = fd;
    auto opened = log::AccessLog::open(std::move(options), std::move(format.value()));
    if (!opened) return raise_sentence(opened.sentence());
    parts.access_log = std::move(opened.value());
    return true;
}

// listeners: [(fd, base environ, is a unix socket)]
bool add_listeners(EngineParts& parts, PyObject* listeners) {
    Ref items(PySequence_Fast(listeners, "listeners must be a sequence"));
    if (!items) return false;
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(items.get()); ++i) {
        int fd;
        PyObject* base;
        int unix_socket;
        PyObject* item = PySequence_Fast_GET_ITEM(items.get(), i);
        if (!PyArg_ParseTuple(item, "iO!p", &fd, &PyDict_Type, &base, &unix_socket)) return false;
        if (!parts.environs.add_listener(base, unix_socket != 0)) return false;
        if (!parts.engine->listen(fd)) {
            PyErr_SetFromErrno(PyExc_OSError);
            return false;
        }
    }
    return true;
}

struct Arguments {
    PyObject* settings = nullptr;
    PyObject* listeners = nullptr;
    PyObject* handle_error = nullptr;
    PyObject* before = Py_None;
    PyObject* after = Py_None;
    PyObject* wait = Py_None;
    PyObject* around = Py_None;
    const char* script_name = "";
    const char* server = "monoceros";
    unsigned slots = 1;
    int shared = 0;
    unsigned connections_max = 0;
    int access_log = 0;
    int access_fd = -1;
    int keep_unrun = 0;
    int nested = 0;
    int stream_bodies = 0;
    PyObject* place = Py_None;
    PyObject* tls = Py_None;
    int runner_fd = -1;
};

bool parse_arguments(PyObject* args, PyObject* kwargs, Arguments& parsed) {
    static const char* kNames[] = {
        "settings",   "listeners",   "handle_error",  "before", "after",     "wait",
        "around",     "script_name", "server",        "slots",  "shared",    "connections_max",
        "access_log", "nested",      "stream_bodies", "place",  "runner_fd", "access_fd",
        "keep_unrun", "tls",         nullptr};
    return PyArg_ParseTupleAndKeywords(
               args, kwargs, "OOO|$OOOOssIpIpppOiipO", const_cast<char**>(kNames), &parsed.settings,
               &parsed.listeners, &parsed.handle_error, &parsed.before, &parsed.after, &parsed.wait,
               &parsed.around, &parsed.script_name, &parsed.server, &parsed.slots, &parsed.shared,
               &parsed.connections_max, &parsed.access_log, &parsed.nested, &parsed.stream_bodies,
               &parsed.place, &parsed.runner_fd, &parsed.access_fd, &parsed.keep_unrun,
               &parsed.tls) != 0;
}

// place: (Scoreboard, slot, relay's sender, relay's receiver, master's wake-up descriptor, signal
// for overdue requests, signal for their stacks when nobody collects them); None outside a server.
bool read_place(EngineParts& parts, PyObject* place, engine::Options& options) {
    if (place == Py_None) return true;
    PyObject* board;
    if (!PyArg_ParseTuple(place, "OIiiiii", &board, &options.board_slot, &options.relay.sender,
                          &options.relay.receiver, &options.master_fd, &options.overdue_signal,
                          &options.stuck_signal))
        return false;
    options.board = scoreboard_of(board);
    if (options.board == nullptr) return false;
    if (options.board_slot >= options.board->size()) return raise_sentence("no such slot");
    parts.board = Ref::borrow(board);
    return true;
}

// nullptr with an exception set.
const SecureParts* secure_parts() {
    const Ref module(PyImport_ImportModule("monoceros._secure"));
    if (!module) return nullptr;
    const Ref parts(PyObject_GetAttrString(module.get(), "parts"));
    if (!parts) return nullptr;
    return static_cast<const SecureParts*>(
        PyCapsule_GetPointer(parts.get(), SecureParts::kCapsule));
}

// A TlsStore, or None: connections are not encrypted.
bool read_tls(PyObject* tls, engine::OpeningRules& rules) {
    if (tls == Py_None && !rules.http2_cleartext) return true;
    const SecureParts* parts = secure_parts();
    if (parts == nullptr) return false;
    rules.http2 = parts->http2;
    if (tls == Py_None) return true;
    rules.tls = parts->tls(tls);
    return rules.tls != nullptr;
}

bool open_engine(EngineParts& parts, const Arguments& arguments) {
    const config::Settings* settings = settings_of(arguments.settings);
    if (settings == nullptr) return false;
    auto limits = session::limits_from(*settings);
    if (!limits) return raise_sentence(limits.sentence());
    if (arguments.access_log != 0 && !open_access_log(parts, *settings, arguments.access_fd))
        return false;
    engine::Options options;
    options.limits = std::move(limits.value());
    options.limits.script_name = arguments.script_name;
    auto opening = engine::opening_rules_from(*settings);
    if (!opening) return raise_sentence(opening.sentence());
    options.opening = std::move(opening.value());
    options.http2 = engine::http2_limits_from(*settings);
    options.slots = arguments.slots;
    options.shared_listeners = arguments.shared != 0;
    options.clients_max = arguments.connections_max;
    options.server = arguments.server;
    options.sendfile = settings->sendfile;
    options.server_timing = settings->server_timing;
    options.access_log = parts.access_log.get();
    options.nested = arguments.nested != 0;
    options.websocket.message_bytes_max =
        static_cast<uint64_t>(settings->websocket_max_message_size);
    options.websocket.ping_interval_ms = settings->ws_ping_interval * 1'000;
    options.websocket.ping_timeout_ms = settings->ws_ping_timeout * 1'000;
    options.stream_bodies = arguments.stream_bodies != 0;
    options.runner_fd = arguments.runner_fd;
    options.keep_unrun = arguments.keep_unrun != 0;
    if (!read_place(parts, arguments.place, options)) return false;
    if (!read_tls(arguments.tls, options.opening)) return false;
    parts.engine = std::make_unique<engine::Engine>(std::move(options));
    if (!parts.engine->ok()) {
        PyErr_SetFromErrno(PyExc_OSError);
        return false;
    }
    parts.handle_error = Ref::borrow(arguments.handle_error);
    if (arguments.before != Py_None) parts.before = Ref::borrow(arguments.before);
    if (arguments.after != Py_None) parts.after = Ref::borrow(arguments.after);
    if (arguments.wait != Py_None) parts.wait = Ref::borrow(arguments.wait);
    if (arguments.around != Py_None) parts.around = Ref::borrow(arguments.around);
    return parts.environs.init() && add_listeners(parts, arguments.listeners);
}

PyObject* make(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
    Arguments arguments;
    if (!parse_arguments(args, kwargs, arguments)) return nullptr;
    Ref self(type->tp_alloc(type, 0));
    if (!self) return nullptr;
    auto* state = static_cast<ModuleState*>(PyType_GetModuleState(type));
    auto* parts = new EngineParts(state);
    reinterpret_cast<EngineObject*>(self.get())->parts = parts;
    return open_engine(*parts, arguments) ? self.release() : nullptr;
}

int traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(Py_TYPE(self));
    EngineParts* parts = parts_of(self);
    if (parts == nullptr) return 0;
    Py_VISIT(parts->handle_error.get());
    Py_VISIT(parts->before.get());
    Py_VISIT(parts->after.get());
    Py_VISIT(parts->wait.get());
    Py_VISIT(parts->around.get());
    return parts->environs.traverse(visit, arg);
}

int clear(PyObject* self) {
    EngineParts* parts = parts_of(self);
    if (parts == nullptr) return 0;
    parts->handle_error.reset();
    parts->before.reset();
    parts->after.reset();
    parts->wait.reset();
    parts->around.reset();
    parts->spare_calls.clear();
    parts->environs.clear();
    return 0;
}

void free_engine(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    EngineParts* parts = parts_of(self);
    if (parts != nullptr && parts->engine && parts->engine->foreign()) {
        // In a forked child: lines that wait in the access log are the parent's to write, and
        // its threads, which hold parts of this, are not here.
        parts = nullptr;
    } else if (parts != nullptr && parts->engine) {
        WithoutGil without;  // joins the I/O thread thread
        parts->engine.reset();
    }
    delete parts;
    type->tp_free(self);
    Py_DECREF(type);
}

// serve_wsgi(application, timeout_ms, limit) -> requests answered
PyObject* serve_wsgi(PyObject* self, PyObject* args) {
    PyObject* application;
    int timeout_ms;
    long limit;
    if (!PyArg_ParseTuple(args, "Oil", &application, &timeout_ms, &limit)) return nullptr;
    EngineParts& parts = *parts_of(self);
    Callbacks callbacks{parts.handle_error.get(), parts.before.get(), parts.after.get(), nullptr,
                        parts.around.get()};
    CallObjects objects(&parts.state);
    WsgiCall call(self, objects, callbacks);
    int64_t begin_ms = base::monotonic_ms();
    int64_t end_ms = begin_ms + timeout_ms;
    long answered = 0;
    while (true) {
        uint64_t wakes = parts.engine->wakes();
        if (parts.serving.load(std::memory_order_acquire) == Serving::kWoken) break;
        session::Exchange* exchange = parts.engine->try_take();
        if (exchange == nullptr) {
            WithoutGil without;
            int64_t left_ms = end_ms - base::monotonic_ms();
            exchange = parts.engine->take(static_cast<int>(left_ms > 0 ? left_ms : 0), wakes);
        }
        if (exchange == nullptr) break;
        bool go_on = call.run(application, *exchange);
        ++answered;
        if (!go_on || PyErr_CheckSignals() < 0) return nullptr;
        if (limit > 0 && answered >= limit) break;
        if (parts.engine->needs_attention()) break;
        if (base::monotonic_ms() - begin_ms >= kBusyTurnMs) break;
    }
    if (parts.engine->needs_attention()) release_owners(*parts.engine);
    return PyLong_FromLong(answered);
}

PyObject* wake(PyObject* self, PyObject*) {
    Serving expected = Serving::kUntilWoken;
    parts_of(self)->serving.compare_exchange_strong(expected, Serving::kWoken);
    parts_of(self)->engine->wake();
    Py_RETURN_NONE;
}

PyObject* drain(PyObject* self, PyObject* args) {
    int for_good = 0;
    long long hold_ms = 0;
    if (!PyArg_ParseTuple(args, "p|L:drain", &for_good, &hold_ms)) return nullptr;
    parts_of(self)->serving.store(Serving::kDraining, std::memory_order_release);
    {
        WithoutGil without;
        parts_of(self)->engine->drain(for_good != 0, hold_ms);
    }
    Py_RETURN_NONE;
}

PyObject* warm_up(PyObject* self, PyObject* path) {
    const char* text = PyUnicode_AsUTF8(path);
    if (text == nullptr) return nullptr;
    if (!parts_of(self)->engine->warm_up(text)) return PyErr_SetFromErrno(PyExc_OSError);
    Py_RETURN_NONE;
}

PyObject* get_warmup_status(PyObject* self, void*) {
    return PyLong_FromLong(parts_of(self)->engine->warmup_status());
}

PyObject* insure(PyObject* self, PyObject*) {
    parts_of(self)->engine->insure();
    Py_RETURN_NONE;
}

PyObject* take_journal(PyObject* self, PyObject*) {
    Ref entries(PyList_New(0));
    if (!entries) return nullptr;
    for (const engine::JournalEntry& entry : parts_of(self)->engine->take_journal()) {
        const std::string_view file = entry.where.file;
        Ref item(Py_BuildValue(
            "(iNsis)", static_cast<int>(entry.severity), latin1_text(entry.text).release(),
            file.substr(file.rfind('/') + 1).data(), entry.where.line, entry.where.function));
        if (!item || PyList_Append(entries.get(), item.get()) < 0) return nullptr;
    }
    return entries.release();
}

Ref unrun_fields(const engine::Unrun& entry) {
    Ref fields(PyList_New(0));
    for (const auto& [name, value] : entry.fields) {
        Ref pair(Py_BuildValue("(NN)", latin1_text(name).release(), latin1_text(value).release()));
        if (!fields || !pair || PyList_Append(fields.get(), pair.get()) < 0) return Ref();
    }
    return fields;
}

PyObject* take_unrun(PyObject* self, PyObject*) {
    Ref entries(PyList_New(0));
    if (!entries) return nullptr;
    for (const engine::Unrun& entry : parts_of(self)->engine->take_unrun()) {
        Ref fields = unrun_fields(entry);
        if (!fields) return nullptr;
        const std::string status =
            std::to_string(entry.status) + ' ' + std::string(http::reason_phrase(entry.status));
        const http::ErrorInfo& error = http::describe(entry.error);
        Ref item(Py_BuildValue(
            "(HsHNNNN(BB)Nsy#NKLNN)", entry.peer.listener, entry.peer.host.c_str(), entry.peer.port,
            latin1_text(entry.method).release(), latin1_text(entry.target).release(),
            latin1_text(entry.path).release(), latin1_text(entry.query).release(),
            entry.version_major, entry.version_minor, fields.release(), status.c_str(),
            entry.response_fields.data(), static_cast<Py_ssize_t>(entry.response_fields.size()),
            latin1_text(entry.request_id).release(),
            static_cast<unsigned long long>(entry.body_bytes),
            static_cast<long long>(entry.duration_us), latin1_text(error.rule).release(),
            latin1_text(error.detail).release()));
        if (!item || PyList_Append(entries.get(), item.get()) < 0) return nullptr;
    }
    return entries.release();
}

PyObject* counters(PyObject* self, PyObject*) {
    board::Totals counts = parts_of(self)->engine->totals();
    return Py_BuildValue("(KKKK)", counts.accepted, counts.answered, counts.refused,
                         counts.aborted);
}

PyObject* reopen_access_log(PyObject* self, PyObject* args) {
    int fd = -1;
    if (!PyArg_ParseTuple(args, "|i:reopen_access_log", &fd)) return nullptr;
    {
        WithoutGil without;
        parts_of(self)->engine->reopen_access_log(fd);
    }
    Py_RETURN_NONE;
}

PyObject* close_access_log(PyObject* self, PyObject*) {
    {
        WithoutGil without;
        parts_of(self)->engine->close_access_log();
    }
    Py_RETURN_NONE;
}

PyObject* get_wakeup_fd(PyObject* self, void*) {
    return PyLong_FromLong(parts_of(self)->engine->wakeup_writer());
}
PyObject* get_fileno(PyObject* self, PyObject*) {
    return PyLong_FromLong(parts_of(self)->engine->fileno());
}
PyObject* get_drained(PyObject* self, void*) {
    return PyBool_FromLong(parts_of(self)->engine->drained());
}
PyObject* get_farewell_said(PyObject* self, void*) {
    return PyBool_FromLong(parts_of(self)->engine->drain_stage() != engine::DrainStage::kEarly);
}
PyObject* get_out_of_time(PyObject* self, void*) {
    return PyBool_FromLong(parts_of(self)->engine->drain_stage() == engine::DrainStage::kOutOfTime);
}
PyObject* get_connections(PyObject* self, void*) {
    return PyLong_FromUnsignedLong(parts_of(self)->engine->connections());
}
PyObject* get_has_overdue(PyObject* self, void*) {
    return PyBool_FromLong(parts_of(self)->engine->has_overdue());
}
PyObject* get_access_log_in_core(PyObject* self, void*) {
    return PyBool_FromLong(parts_of(self)->access_log != nullptr);
}

// Whether C++ can write lines of this format: it is valid and needs no environ of Python's.
PyObject* can_format(PyObject*, PyObject* text) {
    const char* format = PyUnicode_AsUTF8(text);
    if (format == nullptr) return nullptr;
    auto compiled = log::AccessFormat::compile(format);
    return PyBool_FromLong(compiled.ok() && !compiled.value().needs_environ());
}

PyObject* format_fault(PyObject*, PyObject* text) {
    const char* format = PyUnicode_AsUTF8(text);
    if (format == nullptr) return nullptr;
    auto compiled = log::AccessFormat::compile(format);
    if (compiled.ok()) Py_RETURN_NONE;
    return PyUnicode_FromString(compiled.sentence().c_str());
}

PyMethodDef methods[] = {
    {"serve_wsgi", serve_wsgi, METH_VARARGS,
     "serve_wsgi(application, timeout_ms, limit): answers requests until the time is over, limit "
     "(0: none) is reached, wake() was called or the journal has entries; returns their number."},
    {"can_format", can_format, METH_O | METH_STATIC,
     "can_format(text): whether the core can write access lines of this format."},
    {"format_fault", format_fault, METH_O | METH_STATIC,
     "format_fault(text): the sentence about a format that cannot be compiled, or None."},
    {"set_asgi", engine_set_asgi, METH_VARARGS,
     "set_asgi(loop, base_scopes, state, farewells=True): exchanges speak ASGI from now on; "
     "farewells: event streams get http.disconnect in a drain."},
    {"turn", engine_turn, METH_VARARGS,
     "turn([most]) -> ([new Exchange], again, [Exchange whose client left], news): one round of a "
     "nested engine, without waiting; most: how many may run at once; again: take another turn "
     "soon; news: the journal is to be taken."},
    {"tasks", engine_tasks, METH_NOARGS,
     "tasks() -> [what runs an Exchange]: those that have not ended."},
    {"fileno", get_fileno, METH_NOARGS, "Readable when turn() has something to do."},
    {"wake", wake, METH_NOARGS,
     "Makes every serve_wsgi return after its current request, until drain() has been called."},
    {"drain", drain, METH_VARARGS,
     "drain(for_good, hold_ms=0): no new connections; every answer closes its own. serve_wsgi may "
     "be called "
     "again. for_good: nobody accepts after us; the listeners' descriptors become useless."},
    {"warm_up", warm_up, METH_O, "warm_up(path): asks the application before anybody else does."},
    {"insure", insure, METH_NOARGS,
     "From now on clients get an answer even if the process crashes. After other handlers."},
    {"collect_overdue", engine_collect_overdue, METH_NOARGS,
     "collect_overdue() -> ({thread: stack}, [(thread, Exchange or None, stage, id, method, "
     "target, client, ms)]): the requests that are newly overdue and untold, and where each thread "
     "is: [(code, line)], the innermost call first."},
    {"interrupt_overdue", engine_interrupt_overdue, METH_O,
     "interrupt_overdue(exception) -> (here, [Exchange]): raises in the threads of collected "
     "requests, but for this one. The others are the runner's to interrupt."},
    {"interrupt_again", engine_interrupt_again, METH_O,
     "interrupt_again(exception): Python has dropped it; whom it was for is overdue once more."},
    {"take_journal", take_journal, METH_NOARGS,
     "[(level, text, file, line, function)]: what the error log must say, and where that is said."},
    {"counters", counters, METH_NOARGS, "(accepted, answered, refused, aborted)"},
    {"take_unrun", take_unrun, METH_NOARGS,
     "[(listener, host, port, method, target, path, query, version, fields, status, response "
     "fields, request id, bytes, microseconds)] of answers that no application gave."},
    {"reopen_access_log", reopen_access_log, METH_VARARGS,
     "reopen_access_log(fd=-1): goes on with what is behind fd, -1: opens it by its name."},
    {"close_access_log", close_access_log, METH_NOARGS, "Writes what it can; counts the rest."},
    {nullptr, nullptr, 0, nullptr},
};

PyGetSetDef attributes[] = {
    {"wakeup_fd", get_wakeup_fd, nullptr, "for signal.set_wakeup_fd", nullptr},
    {"warmup_status", get_warmup_status, nullptr, "-1: not answered yet; 0: no answer", nullptr},
    {"drained", get_drained, nullptr, "drain() was called and no connection is left", nullptr},
    {"farewell_said", get_farewell_said, nullptr, "a drain: streams were told to end", nullptr},
    {"out_of_time", get_out_of_time, nullptr, "the last moment of a drain", nullptr},
    {"has_overdue", get_has_overdue, nullptr, "collect_overdue() has something", nullptr},
    {"running", engine_running, nullptr, "how many Exchanges have not ended", nullptr},
    {"connections", get_connections, nullptr, "open connections", nullptr},
    {"access_log_in_core", get_access_log_in_core, nullptr, "C++ writes the access log", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(make)},
    {Py_tp_dealloc, reinterpret_cast<void*>(free_engine)},
    {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(clear)},
    {Py_tp_methods, methods},
    {Py_tp_getset, attributes},
    {Py_tp_doc, const_cast<char*>("The connection engine of one worker; make it after fork.")},
    {0, nullptr},
};

PyType_Spec spec = {"monoceros._core.Engine", sizeof(EngineObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, slots};

}  // namespace

void release_owners(engine::Engine& engine) {
    for (void* owner : engine.take_released()) Py_DECREF(static_cast<PyObject*>(owner));
}

int add_engine_type(PyObject* module) {
    Ref type(PyType_FromModuleAndSpec(module, &spec, nullptr));
    if (!type) return -1;
    return PyModule_AddObjectRef(module, "Engine", type.get());
}

}  // namespace mono::python
