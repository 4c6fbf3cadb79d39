// _secure.TlsStore, for who makes a view of what the master has published (secure_module.cpp).
#pragma once

#include "python/ref.hpp"
#include "tls/store.hpp"

namespace mono::python {

// nullptr with TypeError set: the object is no TlsStore. Borrowed: valid while the object lives.
tls::Store* tls_store_of(PyObject* object);

}  // namespace mono::python
