#include "python/file_wrapper.hpp"

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
    if (wrapper->close == nullptr) PyErr_Clear();
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
    int64_t fd = number_from(wrapper->file, "fileno");
    int64_t size = fd < 0 ? -1 : os::regular_file_size(static_cast<int>(fd));
    if (size < 0) return range;
    // The object's own position, not the descriptor's: a buffered reader is ahead of it.
    int64_t position = number_from(wrapper->file, "tell");
    if (position < 0) return range;
    range.fd = os::duplicate(static_cast<int>(fd)).release();
    range.offset = static_cast<uint64_t>(position);
    int64_t rest = size - position;
    range.length = rest > 0 ? static_cast<uint64_t>(rest) : 0;
    return range;
}

int add_file_wrapper_type(PyObject* module) {
    PyObject* type = PyType_FromModuleAndSpec(module, &spec, nullptr);
    if (type == nullptr) return -1;
    state_of_module(module)->file_wrapper = reinterpret_cast<PyTypeObject*>(type);
    return PyModule_AddObjectRef(module, "FileWrapper", type);
}

}  // namespace mono::python
