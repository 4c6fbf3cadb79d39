#include "python/file_wrapper.hpp"

#include <initializer_list>

#include "os/files.hpp"
#include "python/state.hpp"
#include "python/types.hpp"

namespace mono::python {
namespace {

FileWrapperObject* wrapper_of(PyObject* self) { return reinterpret_cast<FileWrapperObject*>(self); }

PyObject* make(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
    static const char* kNames[] = {"filelike", "blksize", nullptr};
    PyObject* file = nullptr;
    Py_ssize_t block_size = 8192;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|n", const_cast<char**>(kNames), &file,
                                     &block_size))
        return nullptr;
    if (block_size <= 0) {
        PyErr_SetString(PyExc_ValueError, "blksize must be a positive number of bytes");
        return nullptr;
    }
    Ref self(type->tp_alloc(type, 0));
    if (!self) return nullptr;
    FileWrapperObject* wrapper = wrapper_of(self.get());
    Py_INCREF(file);
    wrapper->file = file;
    wrapper->block_size = block_size;
    wrapper->close = PyObject_GetAttrString(file, "close");
    if (wrapper->close == nullptr) {
        if (!PyErr_ExceptionMatches(PyExc_AttributeError)) return nullptr;
        PyErr_Clear();
    }
    return self.release();
}

int traverse(PyObject* self, visitproc visit, void* arg) {
    Py_VISIT(wrapper_of(self)->file);
    Py_VISIT(wrapper_of(self)->close);
    Py_VISIT(Py_TYPE(self));
    return 0;
}

int clear(PyObject* self) {
    Py_CLEAR(wrapper_of(self)->file);
    Py_CLEAR(wrapper_of(self)->close);
    return 0;
}

void free_wrapper(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    PyObject_GC_UnTrack(self);
    clear(self);
    type->tp_free(self);
    Py_DECREF(type);
}

PyObject* iterate(PyObject* self) {
    Py_INCREF(self);
    return self;
}

PyObject* iterate_next(PyObject* self) {
    FileWrapperObject* wrapper = wrapper_of(self);
    Ref block(PyObject_CallMethod(wrapper->file, "read", "n", wrapper->block_size));
    if (!block) return nullptr;
    int more = PyObject_IsTrue(block.get());
    return more == 1 ? block.release() : nullptr;
}

int64_t number_from(PyObject* object, const char* method) {
    Ref number(PyObject_CallMethod(object, method, nullptr));
    int64_t value = number ? PyLong_AsLongLong(number.get()) : -1;
    PyErr_Clear();  // not a file after all
    return value;
}

// Whether `object` is exactly of one of these types of a module that is loaded already.
bool is_exactly(PyObject* object, const char* module, std::initializer_list<const char*> types) {
    Ref name(PyUnicode_FromString(module));
    Ref found(name ? PyImport_GetModule(name.get()) : nullptr);
    bool is = false;
    for (const char* type : types) {
        if (!found || is) break;
        PyErr_Clear();
        Ref wanted(PyObject_GetAttrString(found.get(), type));
        is = wanted.get() == reinterpret_cast<PyObject*>(Py_TYPE(object));
    }
    PyErr_Clear();
    return is;
}

// A function that was put into the object itself is called in place of its type's. Where that
// cannot be told, it may have been.
bool is_patched(PyObject* object) {
    Ref own(PyObject_GetAttrString(object, "__dict__"));
    bool patched = !own && !PyErr_ExceptionMatches(PyExc_AttributeError);
    for (const char* name : {"read", "tell", "fileno", "readable", "flush"}) {
        if (!own || patched) break;
        Ref key(PyUnicode_FromString(name));
        patched = !key || PyDict_Contains(own.get(), key.get()) != 0;
    }
    PyErr_Clear();
    return patched;
}

bool is_readable(PyObject* file) {
    Ref readable(PyObject_CallMethod(file, "readable", nullptr));
    PyErr_Clear();
    return readable.get() == Py_True;
}

// The file whose descriptor holds exactly what read() of `object` gives; none for all others:
// decompressors, members of archives, subclasses, and whatever has a fileno() of its own making.
Ref plain_file(PyObject* object) {
    Ref file = Ref::borrow(object);
    if (is_exactly(object, "tempfile", {"_TemporaryFileWrapper"}))
        file.reset(PyObject_GetAttrString(object, "file"));
    if (!file || is_patched(file.get())) return Ref();
    if (is_exactly(file.get(), "_io", {"BufferedReader", "BufferedRandom"})) {
        Ref raw(PyObject_GetAttrString(file.get(), "raw"));
        if (!raw || is_patched(raw.get()) || !is_exactly(raw.get(), "_io", {"FileIO"}))
            return Ref();
        Ref flushed(PyObject_CallMethod(file.get(), "flush", nullptr));  // of a BufferedRandom
        if (!flushed) return Ref();
    } else if (!is_exactly(file.get(), "_io", {"FileIO"})) {
        return Ref();
    }
    return is_readable(file.get()) ? std::move(file) : Ref();
}

PyMemberDef members[] = {
    {"close", T_OBJECT_EX, offsetof(FileWrapperObject, close), READONLY, "the file's close()"},
    {"filelike", T_OBJECT, offsetof(FileWrapperObject, file), READONLY, "the wrapped object"},
    {"blksize", T_PYSSIZET, offsetof(FileWrapperObject, block_size), READONLY, "bytes a read"},
    {nullptr, 0, 0, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_new, reinterpret_cast<void*>(make)},
    {Py_tp_dealloc, reinterpret_cast<void*>(free_wrapper)},
    {Py_tp_traverse, reinterpret_cast<void*>(traverse)},
    {Py_tp_clear, reinterpret_cast<void*>(clear)},
    {Py_tp_iter, reinterpret_cast<void*>(iterate)},
    {Py_tp_iternext, reinterpret_cast<void*>(iterate_next)},
    {Py_tp_members, members},
    {Py_tp_doc, const_cast<char*>("FileWrapper(filelike, blksize=8192)\n--\n\n"
                                  "wsgi.file_wrapper of PEP 3333.")},
    {0, nullptr},
};

PyType_Spec spec = {"monoceros._core.FileWrapper", sizeof(FileWrapperObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC, slots};

}  // namespace

FileRange file_range(const FileWrapperObject* wrapper) {
    FileRange range;
    Ref file = plain_file(wrapper->file);
    PyErr_Clear();
    if (!file) return range;
    int64_t fd = number_from(file.get(), "fileno");
    int64_t size = fd < 0 ? -1 : os::regular_file_size(static_cast<int>(fd));
    // The object's own position, not the descriptor's: a buffered reader is ahead of it.
    int64_t position = number_from(file.get(), "tell");
    // At its end, or of /proc, whose files have no size: there is nothing to send, but to read.
    if (position < 0 || size <= position) return range;
    range.fd = os::duplicate(static_cast<int>(fd)).release();
    range.offset = static_cast<uint64_t>(position);
    range.length = static_cast<uint64_t>(size - position);
    return range;
}

int add_file_wrapper_type(PyObject* module) {
    PyObject* type = PyType_FromModuleAndSpec(module, &spec, nullptr);
    if (type == nullptr) return -1;
    state_of_module(module)->file_wrapper = reinterpret_cast<PyTypeObject*>(type);
    return PyModule_AddObjectRef(module, "FileWrapper", type);
}

}  // namespace mono::python
