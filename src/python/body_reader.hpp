// BodyReader: wsgi.input of a request whose body streams in (request_buffering): reads block until
// there is enough, without the GIL, or in the event loop's own way. PEP 3333; a body that breaks
// off is an exception, never a short read that looks like its end.
// Owner: the Input object, and whoever is inside a call: another thread of the application may
// still wait when the request ends. Call with the GIL; in free-threaded Python, under the lock of
// the Input object, which is given up while a call waits, as the GIL is.
#pragma once

#include <memory>

#include "engine/engine.hpp"
#include "python/ref.hpp"

namespace mono::python {

class BodyReader {
  public:
    struct Options {
        PyObject* engine_object;
        PyObject* disconnected;      // the exception; outlives the module's objects
        PyObject* wait = nullptr;    // nested: (handle): returns when something has happened
        PyObject* handle = nullptr;  // nested: the Exchange object
    };
    BodyReader(const Options& options, engine::Handle request);

    // -1: no bound. The whole of what was asked for, or all that was left; nullptr with an
    // exception set.
    PyObject* read(int64_t size);
    // Up to and including the next LF; b"" at the end.
    PyObject* read_line(int64_t size);

  private:
    size_t present() const { return arrived_.size() - offset_; }
    // Something more is present, or the end is reached; false with an exception set.
    bool fill();
    bool wait();
    void add(base::Buffer& taken);
    bool raise_broken(engine::BodyState state, http::Error fault) const;
    PyObject* take(size_t count);

    Ref engine_object_;
    engine::Engine& engine_;
    PyObject* disconnected_;
    Ref wait_;
    Ref handle_;
    engine::Handle request_;
    base::Buffer arrived_;
    size_t offset_ = 0;  // of what the application has not had yet, in arrived_
    uint64_t received_ = 0;
    bool ended_ = false;
};

}  // namespace mono::python
