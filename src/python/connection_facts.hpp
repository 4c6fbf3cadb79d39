// What a connection's opening has shown, as Python objects: environ keys for WSGI, the extension
// "tls" of ASGI. Thread: any with the GIL.
#pragma once

#include "python/ref.hpp"

namespace mono::session {
struct Facts;
struct TlsFacts;
}  // namespace mono::session

namespace mono::python {

// Each variable under its own name. False with an exception set.
bool add_variables(PyObject* environ, const session::Facts& facts);
// The same in a dict of its own; an empty Ref with an exception set.
Ref make_variables(const session::Facts& facts);
// As the ASGI specification's "TLS extension" (version 0.2) has it. The server's own certificate is
// not told.
Ref make_tls_extension(const session::TlsFacts& facts);

}  // namespace mono::python
