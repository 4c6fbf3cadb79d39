// RequestTimes: environ["monoceros.times"] and scope["extensions"]["monoceros"]["times"]: when a
// request passed each station, as plain numbers that become Python objects when they are asked for.
// A copy: it goes on telling the same after the request's end.
#include "python/request_times.hpp"

#include <structmember.h>

#include "python/state.hpp"
#include "python/types.hpp"

namespace mono::python {
namespace {

struct RequestTimesObject {
    PyObject_HEAD long long balancer_us;
    long long accepted_us;
    long long started_us;
    long long ready_us;
    long long dispatched_us;
};

void free_times(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}

PyMemberDef members[] = {
    {"balancer_us", T_LONGLONG, offsetof(RequestTimesObject, balancer_us), READONLY,
     "a trusted proxy took the request in; 0: none said so"},
    {"accepted_us", T_LONGLONG, offsetof(RequestTimesObject, accepted_us), READONLY,
     "its first byte was here"},
    {"started_us", T_LONGLONG, offsetof(RequestTimesObject, started_us), READONLY,
     "its head was complete"},
    {"ready_us", T_LONGLONG, offsetof(RequestTimesObject, ready_us), READONLY,
     "it waited for the application: with its body, or for ASGI with its head"},
    {"dispatched_us", T_LONGLONG, offsetof(RequestTimesObject, dispatched_us), READONLY,
     "the application got it"},
    {nullptr, 0, 0, 0, nullptr},
};

PyType_Slot slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(free_times)},
    {Py_tp_members, members},
    {Py_tp_doc, const_cast<char*>("When a request passed each station: microseconds of Python's "
                                  "time.monotonic().")},
    {0, nullptr},
};

PyType_Spec spec = {"monoceros._core.RequestTimes", sizeof(RequestTimesObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};

}  // namespace

void fill_request_times(PyObject* times, const session::Exchange& exchange) {
    auto* object = reinterpret_cast<RequestTimesObject*>(times);
    object->balancer_us = exchange.balancer_us;
    object->accepted_us = exchange.accepted_us;
    object->started_us = exchange.started_us;
    object->ready_us = exchange.ready_us;
    object->dispatched_us = exchange.dispatched_us;
}

Ref make_request_times(PyTypeObject* type, const session::Exchange& exchange) {
    Ref times(type->tp_alloc(type, 0));
    if (times) fill_request_times(times.get(), exchange);
    return times;
}

int add_request_times_type(PyObject* module) {
    PyObject* type = PyType_FromModuleAndSpec(module, &spec, nullptr);
    state_of_module(module)->request_times = reinterpret_cast<PyTypeObject*>(type);
    return type == nullptr ? -1 : PyModule_AddObjectRef(module, "RequestTimes", type);
}

}  // namespace mono::python
