// wsgi.input: the body, complete before the application runs, from memory or from its spill file;
// or, where request_buffering says so, as it comes (body_reader.hpp). read(), readline(),
// readlines(), iteration by line (PEP 3333). Past the end: b"".
#include <algorithm>
#include <cstring>

#include "python/types.hpp"
#include "python/wsgi_objects.hpp"

namespace mono::python {
namespace {

constexpr uint64_t kWithoutGilFrom = 64 * 1024;  // bytes of a file read that pay a GIL hand-over
constexpr size_t kLineBlock = 8192;

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

// Kept by the caller while it reads: the request may end meanwhile.
std::shared_ptr<BodyReader> reader_of(PyObject* self) { return input_of(self)->reader; }

uint64_t left(const InputObject* input) {
    return input->exchange == nullptr ? 0 : input->exchange->body.size() - input->offset;
}

bool raise_io_error() {
    PyErr_SetString(PyExc_OSError, "the spilled request body cannot be read");
    return false;
}

// Fills `into` from `offset` on; a spilled body may come in pieces.
bool read_exactly(const session::Exchange& exchange, uint64_t offset, std::span<char> into) {
    while (!into.empty()) {
        int64_t got;
        if (exchange.body.spilled() && into.size() >= kWithoutGilFrom) {
            WithoutGil without;
            got = exchange.body.read(exchange.bytes.data(), offset, into);
        } else {
            got = exchange.body.read(exchange.bytes.data(), offset, into);
        }
        if (got <= 0) return raise_io_error();
        offset += static_cast<uint64_t>(got);
        into = into.subspan(static_cast<size_t>(got));
    }
    return true;
}

// The next `count` bytes, which are the caller's alone from the beginning: while they are read
// without the GIL another thread of the application may read on behind them.
PyObject* take(InputObject* input, uint64_t count) {
    uint64_t offset = input->offset;
    input->offset += count;
    Ref bytes(PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(count)));
    if (!bytes) return nullptr;
    if (!read_exactly(*input->exchange, offset, {PyBytes_AS_STRING(bytes.get()), count}))
        return nullptr;
    return bytes.release();
}

// Bytes up to and including the next LF, at most `bound`; -1 with an exception set.
int64_t line_length(const InputObject* input, uint64_t bound) {
    const session::Exchange& exchange = *input->exchange;
    if (!exchange.body.spilled()) {
        std::string_view rest = exchange.body_view().substr(input->offset, bound);
        size_t at = rest.find('\n');
        return static_cast<int64_t>(at == std::string_view::npos ? rest.size() : at + 1);
    }
    char block[kLineBlock];
    uint64_t length = 0;
    while (length < bound) {
        size_t wanted = std::min<uint64_t>(bound - length, sizeof block);
        int64_t got =
            exchange.body.read(exchange.bytes.data(), input->offset + length, {block, wanted});
        if (got <= 0) return raise_io_error() ? 0 : -1;
        const void* hit = std::memchr(block, '\n', static_cast<size_t>(got));
        if (hit != nullptr)
            return static_cast<int64_t>(length) + (static_cast<const char*>(hit) - block) + 1;
        length += static_cast<uint64_t>(got);
    }
    return static_cast<int64_t>(length);
}

PyObject* next_line(PyObject* self, int64_t size) {
    InputObject* input = input_of(self);
    if (auto reader = reader_of(self)) return reader->read_line(size);
    uint64_t bound = left(input);
    if (size >= 0) bound = std::min<uint64_t>(bound, static_cast<uint64_t>(size));
    if (bound == 0) return PyBytes_FromStringAndSize(nullptr, 0);
    int64_t length = line_length(input, bound);
    return length < 0 ? nullptr : take(input, static_cast<uint64_t>(length));
}

PyObject* read(PyObject* self, PyObject* const* args, Py_ssize_t count) {
    InputObject* input = input_of(self);
    int64_t size;
    if (!parse_size(args, count, size)) return nullptr;
    Locked lock(self);
    if (auto reader = reader_of(self)) return reader->read(size);
    uint64_t rest = left(input);
    if (size >= 0) rest = std::min<uint64_t>(rest, static_cast<uint64_t>(size));
    if (rest == 0) return PyBytes_FromStringAndSize(nullptr, 0);
    return take(input, rest);
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
