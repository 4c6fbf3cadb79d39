// Settings: the Python type around config::Settings, frozen from the day it is made.
// The PyObject owns the value: keep a reference to the object for as long as you use the pointer.
// Reading it needs no thread state; it never changes.
#pragma once

#include "config/settings.hpp"
#include "python/ref.hpp"

namespace mono::python {

// The settings inside `object`, or nullptr with TypeError set if it is no Settings.
const config::Settings* settings_of(PyObject* object);

}  // namespace mono::python
