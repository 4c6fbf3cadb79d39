// _secure.TlsStore: the master makes one before it forks and fills it with what its files hold;
// the engines of its workers look at it (tls/store.hpp).
#include "python/tls_type.hpp"

#include <optional>
#include <string>

#include "base/clock.hpp"
#include "os/files.hpp"
#include "python/types.hpp"

namespace mono::python {
namespace {

constexpr int kTls12 = 0x0303;
constexpr int kTls13 = 0x0304;

struct TlsStoreObject {
    PyObject_HEAD tls::Store* store;  // owned
};

TlsStoreObject* self_of(PyObject* object) { return reinterpret_cast<TlsStoreObject*>(object); }

PyObject* store_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
    static const char* const keywords[] = {nullptr};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, ":TlsStore", const_cast<char**>(keywords)))
        return nullptr;
    PyObject* self = type->tp_alloc(type, 0);
    if (self == nullptr) return nullptr;
    self_of(self)->store = new tls::Store();
    if (self_of(self)->store->ok()) return self;
    PyErr_SetFromErrno(PyExc_OSError);
    Py_DECREF(self);
    return nullptr;
}

void store_dealloc(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    delete self_of(self)->store;
    type->tp_free(self);
    Py_DECREF(type);
}

std::string bytes_of(PyObject* object) {
    return {PyBytes_AS_STRING(object), static_cast<size_t>(PyBytes_GET_SIZE(object))};
}

// Of any object with bytes in it: the caller wipes its own.
struct Buffer {
    Buffer() = default;
    Buffer(const Buffer&) = delete;
    Buffer& operator=(const Buffer&) = delete;
    ~Buffer() {
        if (view.obj != nullptr) PyBuffer_Release(&view);
    }
    std::string text() const {
        return {static_cast<const char*>(view.buf), static_cast<size_t>(view.len)};
    }
    Py_buffer view{};
};

// (name, chain, key, password, ocsp)
bool add_certificate(PyObject* item, tls::ContextOptions& options) {
    const char* name = nullptr;
    Buffer chain, key, password, ocsp;
    if (!PyTuple_Check(item)) {
        PyErr_SetString(PyExc_TypeError, "a certificate is a tuple of five");
        return false;
    }
    if (!PyArg_ParseTuple(item, "sy*y*y*y*:certificate", &name, &chain.view, &key.view,
                          &password.view, &ocsp.view))
        return false;
    options.certificates.push_back({name, chain.text(), key.text(), password.text(), ocsp.text()});
    return true;
}

bool add_name(PyObject* item, tls::ContextOptions& options) {
    Py_ssize_t size = 0;
    const char* text = PyUnicode_AsUTF8AndSize(item, &size);
    if (text == nullptr) return false;
    options.alpn.emplace_back(text, static_cast<size_t>(size));
    return true;
}

// Calls add for each item of a sequence. False: an exception is set.
bool for_each(PyObject* sequence, bool (*add)(PyObject*, tls::ContextOptions&),
              tls::ContextOptions& options) {
    const Ref items(PySequence_Fast(sequence, "a sequence is expected"));
    if (!items) return false;
    for (Py_ssize_t i = 0; Ref item = item_at(items.get(), i); ++i)
        if (!add(item.get(), options)) return false;
    return true;
}

bool version_from(int number, tls::Version& version) {
    if (number != kTls12 && number != kTls13) {
        PyErr_SetString(PyExc_ValueError, "TLS 1.2 and 1.3 are what there is");
        return false;
    }
    version = number == kTls12 ? tls::Version::kTls12 : tls::Version::kTls13;
    return true;
}

// The arguments of open() and update(). nullopt: an exception is set.
std::optional<tls::ContextOptions> read_arguments(PyObject* args, PyObject* kwargs) {
    static const char* const keywords[] = {
        "certificates", "alpn", "version_min", "version_max",       "ciphers",    "cert_reqs",
        "ca",           "crl",  "key_log_fd",  "ticket_lifetime_s", "tickets_of", nullptr};
    tls::ContextOptions options;
    PyObject *certificates = nullptr, *alpn = nullptr, *ca = nullptr, *crl = nullptr;
    PyObject* former = Py_None;
    const char* ciphers = "";
    int version_min = kTls12, version_max = kTls13, cert_reqs = 0, key_log_fd = -1;
    long long lifetime_s = options.ticket_lifetime_s;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|$iisiSSiLO", const_cast<char**>(keywords),
                                     &certificates, &alpn, &version_min, &version_max, &ciphers,
                                     &cert_reqs, &ca, &crl, &key_log_fd, &lifetime_s, &former))
        return std::nullopt;
    if (!for_each(certificates, add_certificate, options) || !for_each(alpn, add_name, options))
        return std::nullopt;
    if (!version_from(version_min, options.version_min)) return std::nullopt;
    if (!version_from(version_max, options.version_max)) return std::nullopt;
    if (cert_reqs < 0 || cert_reqs > 2) {
        PyErr_SetString(PyExc_ValueError, "cert_reqs is 0, 1 or 2");
        return std::nullopt;
    }
    options.client_certificates = static_cast<tls::ClientCertificates>(cert_reqs);
    options.ciphers = ciphers;
    options.ticket_lifetime_s = lifetime_s;
    if (ca != nullptr) options.ca_pem = bytes_of(ca);
    if (crl != nullptr) options.crl_pem = bytes_of(crl);
    if (key_log_fd >= 0)
        options.key_log = std::make_shared<const os::Fd>(os::duplicate(key_log_fd));
    if (former == Py_None) return options;
    const tls::Store* store = tls_store_of(former);
    if (store == nullptr) return std::nullopt;
    options.tickets = store->tickets();
    return options;
}

PyObject* texts(const std::vector<std::string>& from) {
    Ref list(PyList_New(0));
    for (const std::string& text : from) {
        const Ref item(PyUnicode_DecodeUTF8(text.data(), static_cast<Py_ssize_t>(text.size()),
                                            "backslashreplace"));
        if (!list || !item || PyList_Append(list.get(), item.get()) != 0) return nullptr;
    }
    return list.release();
}

PyObject* answer(const base::Result<tls::Published>& result) {
    if (!result) {
        PyErr_SetString(PyExc_ValueError, result.sentence().c_str());
        return nullptr;
    }
    const tls::Published& published = result.value();
    Ref warnings(texts(published.warnings));
    Ref refused(texts(published.refused));
    if (!warnings || !refused) return nullptr;
    return Py_BuildValue("ONNsL", published.changed ? Py_True : Py_False, warnings.release(),
                         refused.release(), published.first_name.c_str(),
                         static_cast<long long>(published.first_days));
}

int64_t now_s() { return base::unix_us() / 1'000'000; }

PyObject* open(PyObject* self, PyObject* args, PyObject* kwargs) {
    std::optional<tls::ContextOptions> options = read_arguments(args, kwargs);
    return options ? answer(self_of(self)->store->open(std::move(*options), now_s())) : nullptr;
}

PyObject* update(PyObject* self, PyObject* args, PyObject* kwargs) {
    std::optional<tls::ContextOptions> options = read_arguments(args, kwargs);
    return options ? answer(self_of(self)->store->update(std::move(*options), now_s())) : nullptr;
}

PyObject* rotate_tickets(PyObject* self, PyObject*) {
    return PyBool_FromLong(self_of(self)->store->rotate_tickets());
}

PyMethodDef methods[] = {
    {"open", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(open)),
     METH_VARARGS | METH_KEYWORDS,
     "open(certificates, alpn, ...): the first set. (changed, warnings, refused, name of the "
     "certificate that expires first, days until then). ValueError: it cannot be served."},
    {"update", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(update)),
     METH_VARARGS | METH_KEYWORDS,
     "The same for files that may have changed; what is bad is refused and the old goes on."},
    {"rotate_tickets", rotate_tickets, METH_NOARGS, "A new key for tickets; whether it was made."},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

tls::Store* tls_store_of(PyObject* object) {
    if (Py_TYPE(object)->tp_dealloc != store_dealloc) {
        PyErr_Format(PyExc_TypeError, "expected a TlsStore, not %.100s", Py_TYPE(object)->tp_name);
        return nullptr;
    }
    return self_of(object)->store;
}

int add_tls_store_type(PyObject* module) {
    PyType_Slot slots[] = {
        {Py_tp_doc, const_cast<char*>("Certificates and keys, as all workers serve them.")},
        {Py_tp_new, reinterpret_cast<void*>(store_new)},
        {Py_tp_dealloc, reinterpret_cast<void*>(store_dealloc)},
        {Py_tp_methods, methods},
        {0, nullptr},
    };
    PyType_Spec spec = {"monoceros._secure.TlsStore", sizeof(TlsStoreObject), 0,
                        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, slots};
    const Ref type(PyType_FromModuleAndSpec(module, &spec, nullptr));
    if (!type) return -1;
    return PyModule_AddObjectRef(module, "TlsStore", type.get());
}

}  // namespace mono::python
