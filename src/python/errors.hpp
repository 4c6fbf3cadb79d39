// SavedError: takes the current exception aside, so that other Python code can run meanwhile.
#pragma once

#include "python/ref.hpp"

namespace mono::python {

class SavedError {
  public:
#if PY_VERSION_HEX >= 0x030c0000
    SavedError() : value_(PyErr_GetRaisedException()) {}
    void restore() { PyErr_SetRaisedException(value_.release()); }
#else
    SavedError() {
        PyObject* type = nullptr;
        PyObject* value = nullptr;
        PyObject* traceback = nullptr;
        PyErr_Fetch(&type, &value, &traceback);
        if (type == nullptr) return;
        PyErr_NormalizeException(&type, &value, &traceback);
        if (traceback != nullptr) PyException_SetTraceback(value, traceback);
        Py_XDECREF(traceback);
        Py_DECREF(type);
        value_.reset(value);
    }
    void restore() {
        PyObject* value = value_.release();
        auto* type = reinterpret_cast<PyObject*>(Py_TYPE(value));
        Py_INCREF(type);
        PyErr_Restore(type, value, PyException_GetTraceback(value));
    }
#endif
    explicit operator bool() const { return static_cast<bool>(value_); }
    PyObject* value() const { return value_.get(); }
    bool matches(PyObject* type) const {
        return value_ && PyErr_GivenExceptionMatches(value_.get(), type) != 0;
    }

  private:
    Ref value_;
};

}  // namespace mono::python
