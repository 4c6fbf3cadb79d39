// wsgi.input: the body, complete before the application runs, from memory or from its spill file;
// or, where request_buffering says so, as it comes (body_reader.hpp). read(), readline(),
// readlines(), iteration by line (PEP 3333). Past the end: b"".
#include <algorithm>

#include "python/engine_parts.hpp"
#include "python/types.hpp"
#include "python/wsgi_objects.hpp"

namespace mono::python {
namespace {

constexpr uint64_t kWithoutGilFrom = 64 * 1024;  // bytes of a file read that pay a GIL hand-over

InputObject* input_of(PyObject* self) { return reinterpret_cast<InputObject*>(self); }

// The argument of read and readline: absent, None or negative mean "no bound".
bool parse_size(PyObject* const* args, Py_ssize_t count, int64_t& size) {
    size = -1;
    if (count > 1) {
        PyErr_SetString(PyExc_TypeError, "at most one argument is expected: a number of bytes");
        return false;
    }
    if (count == 0 || args[0] == Py_None) return true;
    Ref number(PyNumber_Index(args[0]));
    if (!number) return false;
    size = PyLong_AsLongLong(number.get());
    if (size == -1 && PyErr_Occurred()) return false;
    return true;
}

// What a call needs, for as long as it takes: the request may end meanwhile.
struct Reading {
    explicit Reading(PyObject* self)
        : input(input_of(self)), owner(hold_engine(input->write)), reader(input->reader) {
        if (!owner) refuse(engine::Engine::kTooLate);
    }
    explicit operator bool() const { return static_cast<bool>(owner); }
    engine::Engine& engine() const { return *engine_parts(owner.get())->engine; }
    uint64_t left() const { return input->size - input->offset; }
    static PyObject* refuse(int64_t fault) {
        if (fault == engine::Engine::kTooLate)
            PyErr_SetString(PyExc_ValueError, "wsgi.input was read after the end of its request");
        else
            PyErr_SetString(PyExc_OSError, "the spilled request body cannot be read");
        return nullptr;
    }

    InputObject* input;
    Ref owner;
    std::shared_ptr<BodyReader> reader;
};

// Fills `into` from `offset` on; a spilled body may come in pieces. Not positive: what is wrong.
int64_t read_exactly(const Reading& reading, uint64_t offset, std::span<char> into) {
    const engine::Handle handle = reading.input->write->handle;
    engine::Engine& engine = reading.engine();
    while (!into.empty()) {
        int64_t got;
        if (reading.input->spilled && into.size() >= kWithoutGilFrom) {
            WithoutGil without;
            got = engine.read_body(handle, offset, into);
        } else {
            got = engine.read_body(handle, offset, into);
        }
        if (got <= 0) return got;
        offset += static_cast<uint64_t>(got);
        into = into.subspan(static_cast<size_t>(got));
    }
    return 1;
}

// The next `count` bytes, which are the caller's alone from the beginning: while they are read
// without the GIL another thread of the application may read on behind them.
PyObject* take(const Reading& reading, uint64_t count) {
    uint64_t offset = reading.input->offset;
    reading.input->offset += count;
    Ref bytes(PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(count)));
    if (!bytes) return nullptr;
    const int64_t got = read_exactly(reading, offset, {PyBytes_AS_STRING(bytes.get()), count});
    return got > 0 ? bytes.release() : Reading::refuse(got);
}

PyObject* next_line(PyObject* self, int64_t size) {
    Reading reading(self);
    if (!reading) return nullptr;
    if (reading.reader) return reading.reader->read_line(size);
    uint64_t bound = reading.left();
    if (size >= 0) bound = std::min<uint64_t>(bound, static_cast<uint64_t>(size));
    if (bound == 0) return PyBytes_FromStringAndSize(nullptr, 0);
    int64_t length =
        reading.engine().measure_line(reading.input->write->handle, reading.input->offset, bound);
    return length < 0 ? Reading::refuse(length) : take(reading, static_cast<uint64_t>(length));
}

PyObject* read(PyObject* self, PyObject* const* args, Py_ssize_t count) {
    int64_t size;
    if (!parse_size(args, count, size)) return nullptr;
    Locked lock(self);
    Reading reading(self);
    if (!reading) return nullptr;
    if (reading.reader) return reading.reader->read(size);
    uint64_t rest = reading.left();
    if (size >= 0) rest = std::min<uint64_t>(rest, static_cast<uint64_t>(size));
    if (rest == 0) return PyBytes_FromStringAndSize(nullptr, 0);
    return take(reading, rest);
}

PyObject* readline(PyObject* self, PyObject* const* args, Py_ssize_t count) {
    int64_t size;
    if (!parse_size(args, count, size)) return nullptr;
    Locked lock(self);
    return next_line(self, size);
}

// The hint is a hint: all lines come, as gunicorn gives them.
PyObject* readlines(PyObject* self, PyObject* const* args, Py_ssize_t count) {
    int64_t hint;
    if (!parse_size(args, count, hint)) return nullptr;
    Locked lock(self);
    Ref lines(PyList_New(0));
    while (lines) {
        Ref line(next_line(self, -1));
        if (!line) return nullptr;
        if (PyBytes_GET_SIZE(line.get()) == 0) break;
        if (PyList_Append(lines.get(), line.get()) < 0) return nullptr;
    }
    return lines.release();
}

PyObject* iterate(PyObject* self) {
    Py_INCREF(self);
    return self;
}

PyObject* iterate_next(PyObject* self) {
    Locked lock(self);
    Ref line(next_line(self, -1));
    return line && PyBytes_GET_SIZE(line.get()) != 0 ? line.release() : nullptr;
}

void free_input(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    Py_XDECREF(reinterpret_cast<PyObject*>(input_of(self)->write));
    std::destroy_at(&input_of(self)->reader);
    type->tp_free(self);
    Py_DECREF(type);
}

PyMethodDef methods[] = {
    {"read", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(read)), METH_FASTCALL,
     "read(size=-1): at most size bytes, or all that is left."},
    {"readline", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(readline)), METH_FASTCALL,
     "readline(size=-1): up to and including the next newline, at most size bytes."},
    {"readlines", reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(readlines)), METH_FASTCALL,
     "readlines(hint=None): all remaining lines."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(free_input)},
    {Py_tp_methods, methods},
    {Py_tp_iter, reinterpret_cast<void*>(iterate)},
    {Py_tp_iternext, reinterpret_cast<void*>(iterate_next)},
    {Py_tp_doc, const_cast<char*>("wsgi.input: the request's body.")},
    {0, nullptr},
};

PyType_Spec spec = {"monoceros._core.Input", sizeof(InputObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};

}  // namespace

PyObject* make_input(PyTypeObject* type) {
    PyObject* self = type->tp_alloc(type, 0);
    if (self != nullptr) std::construct_at(&input_of(self)->reader);
    return self;
}

int add_input_type(PyObject* module) {
    PyObject* type = PyType_FromModuleAndSpec(module, &spec, nullptr);
    state_of_module(module)->input = reinterpret_cast<PyTypeObject*>(type);
    return type == nullptr ? -1 : 0;
}

}  // namespace mono::python
