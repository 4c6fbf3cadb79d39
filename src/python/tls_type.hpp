// _core.TlsStore, for who makes an engine: a worker's view of what the master has published.
#pragma once

#include "python/ref.hpp"
#include "tls/store.hpp"

namespace mono::python {

// nullptr with TypeError set: the object is no TlsStore. Borrowed: valid while the object lives.
tls::Store* tls_store_of(PyObject* object);

}  // namespace mono::python
