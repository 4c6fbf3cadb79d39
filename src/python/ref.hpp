// Ref: one owned reference to a Python object. Use only with the thread state attached.
// Invariant: a Ref is never shared between threads without the GIL (or, in free-threaded Python,
// without its owner's lock).
#pragma once

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <structmember.h>

#include <string_view>
#include <utility>

namespace mono::python {

class Ref {
  public:
    Ref() = default;
    // Takes over a new reference; nullptr stands for "an exception is set".
    explicit Ref(PyObject* owned) : object_(owned) {}
    static Ref borrow(PyObject* borrowed) {
        Py_XINCREF(borrowed);
        return Ref(borrowed);
    }
    Ref(Ref&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
    Ref& operator=(Ref&& other) noexcept {
        if (this != &other) reset(std::exchange(other.object_, nullptr));
        return *this;
    }
    Ref(const Ref&) = delete;
    Ref& operator=(const Ref&) = delete;
    ~Ref() { Py_XDECREF(object_); }

    PyObject* get() const { return object_; }
    explicit operator bool() const { return object_ != nullptr; }
    PyObject* release() { return std::exchange(object_, nullptr); }
    void reset(PyObject* owned = nullptr) {
        PyObject* old = std::exchange(object_, owned);
        Py_XDECREF(old);
    }

  private:
    PyObject* object_ = nullptr;
};

// Holds an object's own lock for its lifetime, in free-threaded Python; with a GIL that is the
// lock. Python gives it up while the thread is detached, as it does with the GIL.
class Locked {
  public:
#ifdef Py_GIL_DISABLED
    explicit Locked(PyObject* object) { PyCriticalSection_Begin(&section_, object); }
    ~Locked() { PyCriticalSection_End(&section_); }
#else
    explicit Locked(PyObject*) {}
    ~Locked() = default;
#endif
    Locked(const Locked&) = delete;
    Locked& operator=(const Locked&) = delete;

  private:
#ifdef Py_GIL_DISABLED
    PyCriticalSection section_;
#endif
};

// Item `index` of a list or tuple, kept alive: other threads may change a list at any time. Past
// its end: an empty Ref, without an exception.
inline Ref item_at(PyObject* sequence, Py_ssize_t index) {
    Locked lock(sequence);
    if (index >= PySequence_Fast_GET_SIZE(sequence)) return Ref();
    return Ref::borrow(PySequence_Fast_GET_ITEM(sequence, index));
}

// A str of bytes that are latin-1, as HTTP's text is: a new object, empty with an exception set.
inline Ref latin1_text(std::string_view text) {
    return Ref(PyUnicode_DecodeLatin1(text.data(), static_cast<Py_ssize_t>(text.size()), nullptr));
}

// Detaches the thread from Python for its lifetime: no Python object may be touched inside. Not
// even None returned: its reference is counted before this ends.
class WithoutGil {
  public:
    WithoutGil() : state_(PyEval_SaveThread()) {}
    ~WithoutGil() { PyEval_RestoreThread(state_); }
    WithoutGil(const WithoutGil&) = delete;
    WithoutGil& operator=(const WithoutGil&) = delete;

  private:
    PyThreadState* state_;
};

}  // namespace mono::python
