// Replaced by its owner.
#include "python/types.hpp"

namespace mono::python {

int add_file_wrapper_type(PyObject*) { return 0; }

}  // namespace mono::python
