// FileWrapper: wsgi.file_wrapper (PEP 3333, "Optional Platform-Specific File Handling").
// Iterating it reads blocks; returned by the application as it is, it is sent with sendfile(2)
// where that is the same: of io's own files, and tempfile's around them.
#pragma once

#include <cstdint>

#include "python/ref.hpp"

namespace mono::python {

struct FileWrapperObject {
    PyObject_HEAD PyObject* file;
    PyObject* close;  // the file's close, an attribute of the wrapper; nullptr if it has none
    Py_ssize_t block_size;
};

struct FileRange {
    int fd = -1;  // a duplicate that the caller owns; -1: not a plain file, iterate instead
    uint64_t offset = 0;
    uint64_t length = 0;
};

// From the position that the Python file object reports (tell), to the file's end.
FileRange file_range(const FileWrapperObject* wrapper);

}  // namespace mono::python
