// Replaced by its owner.
#include "python/types.hpp"

namespace mono::python {

int add_process_functions(PyObject*) { return 0; }

}  // namespace mono::python
