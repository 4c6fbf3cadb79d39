#include "python/connection_facts.hpp"

#include <string>

#include "python/wsgi_objects.hpp"

namespace mono::python {
namespace {

bool put(PyObject* dict, const char* key, Ref value) {
    return value && PyDict_SetItemString(dict, key, value.get()) == 0;
}

Ref text_or_none(const std::string& text) {
    return text.empty() ? Ref::borrow(Py_None) : latin1_text(text);
}

Ref chain_of(const std::string& certificate) {
    Ref chain(PyList_New(0));
    if (!chain || certificate.empty()) return chain;
    Ref pem = latin1_text(certificate);
    return pem && PyList_Append(chain.get(), pem.get()) == 0 ? std::move(chain) : Ref();
}

}  // namespace

bool add_variables(PyObject* environ, const session::Facts& facts) {
    for (const auto& [name, value] : facts.variables) {
        if (!put(environ, name.c_str(), latin1_text(value))) return false;
    }
    return true;
}

Ref make_variables(const session::Facts& facts) {
    Ref dict(PyDict_New());
    return dict && add_variables(dict.get(), facts) ? std::move(dict) : Ref();
}

Ref make_tls_extension(const session::TlsFacts& facts) {
    Ref dict(PyDict_New());
    bool made = dict && put(dict.get(), "server_cert", Ref::borrow(Py_None)) &&
                put(dict.get(), "client_cert_chain", chain_of(facts.client_certificate)) &&
                put(dict.get(), "client_cert_name", text_or_none(facts.client_subject)) &&
                put(dict.get(), "client_cert_error", text_or_none(facts.client_fault)) &&
                put(dict.get(), "tls_version", Ref(PyLong_FromLong(facts.version))) &&
                put(dict.get(), "cipher_suite", Ref(PyLong_FromLong(facts.cipher)));
    return made ? std::move(dict) : Ref();
}

}  // namespace mono::python
