// Replaced by its owner.
#include "python/types.hpp"

namespace mono::python {

int add_engine_type(PyObject*) { return 0; }

}  // namespace mono::python
