// environ["gunicorn.socket"]: the client's socket, for the few applications that want it. A real
// socket object is made from a duplicate of the descriptor when an attribute is first asked for;
// until then it costs nothing. From then on the connection ends with this request. With the first
// byte that the application says or takes there the connection is its own.
#include <string>

#include "os/fd.hpp"
#include "python/engine_parts.hpp"
#include "python/types.hpp"
#include "python/wsgi_objects.hpp"

namespace mono::python {
namespace {

ClientSocketObject* socket_of(PyObject* self) {
    return reinterpret_cast<ClientSocketObject*>(self);
}

bool open_socket(ClientSocketObject* object) {
    Ref owner = hold_engine(object->write);
    if (!owner) return raise_over("the client's socket") != nullptr;
    std::string ahead;
    os::Fd owned(engine_parts(owner.get())->engine->share_socket(object->write->handle, &ahead));
    if (!owned) {
        PyErr_SetString(PyExc_ConnectionResetError, "the client has closed the connection");
        return false;
    }
    Ref helpers(PyImport_ImportModule("monoceros.http.client_socket"));
    Ref take(PyObject_GetAttrString(reinterpret_cast<PyObject*>(object->write), "take_connection"));
    Ref bytes(PyBytes_FromStringAndSize(ahead.data(), static_cast<Py_ssize_t>(ahead.size())));
    Ref socket;
    if (helpers && take && bytes)
        socket.reset(PyObject_CallMethod(helpers.get(), "open_socket", "iOO", owned.get(),
                                         take.get(), bytes.get()));
    if (!socket) return false;
    owned.release();
    Locked lock(reinterpret_cast<PyObject*>(object));
    if (object->socket == nullptr) object->socket = socket.release();  // else a thread was first
    return true;
}

PyObject* get_attribute(PyObject* self, PyObject* name) {
    ClientSocketObject* object = socket_of(self);
    // What repr(), type checks and pickle probes ask for is the proxy's own, and so is the
    // TypeError for what is no name: getattr() checks it, __getattribute__() does not.
    bool text = PyUnicode_Check(name);
    if (!text || (PyUnicode_GET_LENGTH(name) > 1 && PyUnicode_READ_CHAR(name, 0) == '_'))
        return PyObject_GenericGetAttr(self, name);
    if (object->socket == nullptr && !open_socket(object)) return nullptr;
    return PyObject_GetAttr(object->socket, name);
}

void free_socket(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    Py_XDECREF(socket_of(self)->socket);
    Py_XDECREF(reinterpret_cast<PyObject*>(socket_of(self)->write));
    type->tp_free(self);
    Py_DECREF(type);
}

PyType_Slot slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(free_socket)},
    {Py_tp_getattro, reinterpret_cast<void*>(get_attribute)},
    {Py_tp_doc, const_cast<char*>("The client's socket, opened on first use.")},
    {0, nullptr},
};

PyType_Spec spec = {"monoceros._core.ClientSocket", sizeof(ClientSocketObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};

}  // namespace

int add_client_socket_type(PyObject* module) {
    PyObject* type = PyType_FromModuleAndSpec(module, &spec, nullptr);
    state_of_module(module)->client_socket = reinterpret_cast<PyTypeObject*>(type);
    return type == nullptr ? -1 : 0;
}

}  // namespace mono::python
