// _core.Scoreboard for the other binding files: how to reach the C++ scoreboard in it.
#pragma once

#include "board/scoreboard.hpp"
#include "os/shm.hpp"
#include "python/ref.hpp"

namespace mono::python {

// The scoreboard inside a _core.Scoreboard; nullptr with TypeError set for another object.
// Borrowed: valid while the object lives.
const board::Scoreboard* scoreboard_of(PyObject* object);

// The mapping behind it; the same conditions.
const os::SharedMemory* memory_of(PyObject* object);

// A worker's own slot; nullptr with an exception set for another object or an index outside.
// The memory stays mapped while the object lives: the caller keeps a reference to it.
board::Slot* scoreboard_slot(PyObject* object, Py_ssize_t index);

}  // namespace mono::python
