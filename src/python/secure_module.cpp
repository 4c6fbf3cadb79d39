// monoceros._secure: TLS and HTTP/2. A module of its own, so that a server which speaks neither has
// neither OpenSSL nor nghttp2 in its memory (docs/adr/0025).
#include "python/secure.hpp"
#include "python/tls_type.hpp"
#include "python/types.hpp"
#include "tls/store.hpp"

namespace mono::python {
namespace {

std::function<std::unique_ptr<tls::Session>()> tls_sessions(PyObject* object) {
    const tls::Store* store = tls_store_of(object);
    if (store == nullptr) return nullptr;
    return [view = std::make_shared<tls::View>(*store)]() -> std::unique_ptr<tls::Session> {
        const std::shared_ptr<const tls::Context>& context = view->current();
        return context ? std::make_unique<tls::Session>(context) : nullptr;
    };
}

constexpr SecureParts kParts = {http2::make_session, tls_sessions};

int exec_module(PyObject* module) {
    if (add_tls_store_type(module) < 0) return -1;
    const Ref parts(
        PyCapsule_New(const_cast<SecureParts*>(&kParts), SecureParts::kCapsule, nullptr));
    return parts ? PyModule_AddObjectRef(module, "parts", parts.get()) : -1;
}

PyModuleDef_Slot slots[] = {
    {Py_mod_exec, reinterpret_cast<void*>(exec_module)},
#ifdef Py_GIL_DISABLED
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, nullptr},
};

PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    "_secure",
    "TLS and HTTP/2 of monoceros. Private: see _secure.pyi.",
    0,
    nullptr,
    slots,
    nullptr,
    nullptr,
    nullptr,
};

}  // namespace
}  // namespace mono::python

PyMODINIT_FUNC PyInit__secure() { return PyModuleDef_Init(&mono::python::definition); }
