// RequestTimes: the times of an exchange for the application. With the GIL; owned by Python.
#pragma once

#include "engine/engine.hpp"
#include "python/ref.hpp"

namespace mono::python {

// A new object, or an empty Ref with an exception set.
Ref make_request_times(PyTypeObject* type, const session::Exchange& exchange);
// Fills one again, which nobody else may hold.
void fill_request_times(PyObject* times, const session::Exchange& exchange);

}  // namespace mono::python
