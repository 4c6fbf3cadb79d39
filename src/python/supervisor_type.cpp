// _core.Supervisor: the pure supervisor for arbiter.py. Each method is one event at this moment;
// it returns the actions to perform, in order, as tuples whose first item names the method of the
// arbiter (see _core.pyi). Heartbeats are read from the scoreboard before every event.
// Used by the master's only thread.
#include <new>

#include "base/clock.hpp"
#include "os/memory.hpp"
#include "python/scoreboard_type.hpp"
#include "python/types.hpp"
#include "supervisor/supervisor.hpp"

namespace mono::python {
namespace {

using supervisor::Action;
using supervisor::ActionKind;
using supervisor::Event;
using supervisor::EventKind;
using supervisor::Options;
using supervisor::Supervisor;

struct SupervisorObject {
    PyObject_HEAD PyObject* scoreboard;  // owned
    Supervisor* policy;                  // owned
};

SupervisorObject* self_of(PyObject* object) { return reinterpret_cast<SupervisorObject*>(object); }

struct OptionArguments {
    unsigned int workers = 1;
    long long timeout_ms = 0;
    long long graceful_timeout_ms = 0;
    unsigned int max_surge = 0;
    unsigned int max_unavailable = 0;
    long long memory_limit_bytes = 0;
    int private_memory = 0;
    long long lifetime_min_ms = 0;
    int watch_requests = 0;
    int daemon = 0;

    // Fills itself from keywords; false with an exception set.
    bool parse(PyObject* kwargs) {
        static const char* const keywords[] = {"workers",
                                               "timeout_ms",
                                               "graceful_timeout_ms",
                                               "max_surge",
                                               "max_unavailable",
                                               "memory_limit_bytes",
                                               "private_memory",
                                               "lifetime_min_ms",
                                               "watch_requests",
                                               "daemon",
                                               nullptr};
        Ref none(PyTuple_New(0));
        return none && PyArg_ParseTupleAndKeywords(
                           none.get(), kwargs, "$ILLIILpLpp:options", const_cast<char**>(keywords),
                           &workers, &timeout_ms, &graceful_timeout_ms, &max_surge,
                           &max_unavailable, &memory_limit_bytes, &private_memory, &lifetime_min_ms,
                           &watch_requests, &daemon) != 0;
    }

    Options options() const {
        return {.workers = workers,
                .timeout_ms = timeout_ms,
                .graceful_timeout_ms = graceful_timeout_ms,
                .max_surge = max_surge,
                .max_unavailable = max_unavailable,
                .memory_limit_bytes = memory_limit_bytes,
                .private_memory = private_memory != 0,
                .lifetime_min_ms = lifetime_min_ms,
                .watch_requests = watch_requests != 0,
                .daemon = daemon != 0};
    }
};

void supervisor_dealloc(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    delete self_of(self)->policy;
    Py_XDECREF(self_of(self)->scoreboard);
    type->tp_free(self);
    Py_DECREF(type);
}

PyObject* supervisor_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
    PyObject* scoreboard = nullptr;
    int unpromoted = 0;
    OptionArguments given;
    if (!PyArg_ParseTuple(args, "Op:Supervisor", &scoreboard, &unpromoted)) return nullptr;
    if (!given.parse(kwargs)) return nullptr;
    const board::Scoreboard* board = scoreboard_of(scoreboard);
    if (board == nullptr) return nullptr;
    PyObject* self = type->tp_alloc(type, 0);
    if (self == nullptr) return nullptr;
    self_of(self)->scoreboard = Py_NewRef(scoreboard);
    Options options = given.options();
    options.unpromoted = unpromoted != 0;
    self_of(self)->policy = new Supervisor(options, board->size());
    return self;
}

// An action as a tuple; new reference, or nullptr with an exception.
PyObject* to_tuple(const Action& action) {
    const char* text = action.text.c_str();
    switch (action.kind) {
        case ActionKind::kFork:
            return Py_BuildValue("(ssIII)", "fork", supervisor::name(action.pool).data(),
                                 action.slot, action.age, action.generation);
        case ActionKind::kKill:
            return Py_BuildValue("(sii)", "kill", action.pid, action.number);
        case ActionKind::kReload:
            return Py_BuildValue("(s)", "reload");
        case ActionKind::kReopenLogs:
            return Py_BuildValue("(s)", "reopen_logs");
        case ActionKind::kReexec:
            return Py_BuildValue("(s)", "reexec");
        case ActionKind::kCommit:
            return Py_BuildValue("(s)", "commit");
        case ActionKind::kRollBack:
            return Py_BuildValue("(ss)", "roll_back", text);
        case ActionKind::kDeath:
            return Py_BuildValue("(siiis)", "death", action.pid, action.status, action.number,
                                 text);
        case ActionKind::kLog:
            return Py_BuildValue("(sis)", "log", action.number, text);
        case ActionKind::kWorkersChanged:
            return Py_BuildValue("(sII)", "workers_changed", action.count, action.previous);
        case ActionKind::kChildExit:
            return Py_BuildValue("(si)", "child_exit", action.pid);
        case ActionKind::kReady:
            return Py_BuildValue("(s)", "ready");
        case ActionKind::kCloseListeners:
            return Py_BuildValue("(s)", "close_listeners");
        case ActionKind::kHalt:
            return Py_BuildValue("(sis)", "halt", action.number, text);
    }
    Py_UNREACHABLE();
}

PyObject* to_list(const supervisor::Actions& actions) {
    Ref list(PyList_New(static_cast<Py_ssize_t>(actions.size())));
    if (!list) return nullptr;
    Py_ssize_t index = 0;
    for (const Action& action : actions) {
        PyObject* tuple = to_tuple(action);
        if (tuple == nullptr) return nullptr;
        PyList_SET_ITEM(list.get(), index++, tuple);
    }
    return list.release();
}

supervisor::Sample sample_of(uint32_t number, const board::Slot& slot) {
    constexpr auto kRelaxed = std::memory_order_relaxed;
    const board::Service service = slot.service.load(std::memory_order_acquire);
    return {.slot = number,
            .beat_ms = slot.beat_ms.load(kRelaxed),
            .ready = slot.ready.load(std::memory_order_acquire) != 0,
            .in_flight = slot.in_flight.load(kRelaxed),
            .stuck = slot.stuck.load(kRelaxed),
            .withdrawn = service != board::Service::kOpen,
            .over = service == board::Service::kOver};
}

PyObject* step(PyObject* self, Event event) {
    SupervisorObject* object = self_of(self);
    const board::Scoreboard* board = scoreboard_of(object->scoreboard);
    if (board == nullptr) return nullptr;
    event.now_ms = base::monotonic_ms();
    const bool measure = object->policy->memory_due(event.now_ms);
    const os::MemoryKind kind =
        object->policy->options().private_memory ? os::MemoryKind::kPrivate : os::MemoryKind::kPss;
    for (const supervisor::Pool& pool : object->policy->pools()) {
        for (const supervisor::Worker& worker : pool.table().all()) {
            const bool measured = measure && worker.state == supervisor::State::kServing;
            supervisor::Sample sample = sample_of(worker.slot, board->slot(worker.slot));
            if (measured) sample.memory_bytes = os::process_memory(worker.pid, kind);
            event.samples.push_back(sample);
        }
    }
    supervisor::Actions actions;
    object->policy->step(event, actions);
    return to_list(actions);
}

template <EventKind kKind>
PyObject* bare(PyObject* self, PyObject*) {
    return step(self, {.kind = kKind});
}

template <EventKind kKind>
PyObject* with_number(PyObject* self, PyObject* argument) {
    const long number = PyLong_AsLong(argument);
    if (number == -1 && PyErr_Occurred()) return nullptr;
    const auto value = static_cast<int>(number);
    return step(self, {.kind = kKind, .number = value, .pid = value});
}

PyObject* forked(PyObject* self, PyObject* args) {
    unsigned int slot = 0;
    int pid = 0;
    if (!PyArg_ParseTuple(args, "Ii:forked", &slot, &pid)) return nullptr;
    return step(self, {.kind = EventKind::kForked, .pid = pid, .slot = slot});
}

PyObject* fork_failed(PyObject* self, PyObject* args) {
    unsigned int slot = 0;
    const char* text = nullptr;
    if (!PyArg_ParseTuple(args, "Is:fork_failed", &slot, &text)) return nullptr;
    return step(self, {.kind = EventKind::kForkFailed, .slot = slot, .text = text});
}

PyObject* exited(PyObject* self, PyObject* args) {
    int pid = 0;
    int status = 0;
    const char* details = "";
    if (!PyArg_ParseTuple(args, "ii|s:exited", &pid, &status, &details)) return nullptr;
    return step(self, {.kind = EventKind::kExited, .number = status, .pid = pid, .text = details});
}

PyObject* reloaded(PyObject* self, PyObject* args, PyObject* kwargs) {
    OptionArguments given;
    if (!PyArg_ParseTuple(args, ":reloaded") || !given.parse(kwargs)) return nullptr;
    return step(self, {.kind = EventKind::kReloaded, .options = given.options()});
}

PyObject* wake_in_ms(PyObject* self, PyObject*) {
    const int64_t wake_at = self_of(self)->policy->wake_at_ms();
    if (wake_at == Supervisor::kNever) return PyLong_FromLong(-1);
    const int64_t left = wake_at - base::monotonic_ms();
    return PyLong_FromLongLong(left > 0 ? left : 0);
}

PyObject* get_phase(PyObject* self, void*) {
    const std::string_view name = supervisor::name(self_of(self)->policy->phase());
    return PyUnicode_FromStringAndSize(name.data(), static_cast<Py_ssize_t>(name.size()));
}

PyObject* get_target(PyObject* self, void*) {
    return PyLong_FromUnsignedLong(self_of(self)->policy->target());
}

PyObject* get_generation(PyObject* self, void*) {
    return PyLong_FromUnsignedLong(self_of(self)->policy->generation());
}

PyObject* get_wanted(PyObject* self, void*) {
    return PyLong_FromUnsignedLong(self_of(self)->policy->wanted());
}

PyObject* get_rollout(PyObject* self, void*) {
    const Supervisor* policy = self_of(self)->policy;
    const char* stage = policy->rolling() ? "rolling" : "settled";
    return PyUnicode_FromString(policy->on_trial() ? "trial" : stage);
}

PyObject* get_reload_failed(PyObject* self, void*) {
    return PyBool_FromLong(self_of(self)->policy->reload_failed());
}

PyObject* get_age(PyObject* self, void*) {
    return PyLong_FromUnsignedLong(self_of(self)->policy->workers().last_age());
}

PyObject* get_serving(PyObject* self, void*) {
    return PyLong_FromUnsignedLong(self_of(self)->policy->workers().serving());
}

PyCFunction with_keywords(PyObject* (*function)(PyObject*, PyObject*, PyObject*)) {
    return reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(function));
}

PyMethodDef* methods() {
    static PyMethodDef table[] = {
        {"start", bare<EventKind::kStart>, METH_NOARGS, "The sockets are bound."},
        {"tick", bare<EventKind::kTick>, METH_NOARGS, "The wake-up time came, or a worker called."},
        {"signal", with_number<EventKind::kSignal>, METH_O, "signal(number): the master got it."},
        {"forked", forked, METH_VARARGS, "forked(slot, pid): answer to \"fork\"."},
        {"fork_failed", fork_failed, METH_VARARGS, "fork_failed(slot, why): answer to \"fork\"."},
        {"exited", exited, METH_VARARGS,
         "exited(pid, status, details): status as waitpid reports it; details go with the "
         "sentence."},
        {"reloaded", with_keywords(reloaded), METH_VARARGS | METH_KEYWORDS,
         "Answer to \"reload\": the policy's part of the new configuration."},
        {"reload_failed", bare<EventKind::kReloadFailed>, METH_NOARGS, "Answer to \"reload\"."},
        {"reexec_forked", with_number<EventKind::kReexecForked>, METH_O, "reexec_forked(pid)."},
        {"reexec_failed", bare<EventKind::kReexecFailed>, METH_NOARGS, "Answer to \"reexec\"."},
        {"promoted", bare<EventKind::kPromoted>, METH_NOARGS, "The old master has gone."},
        {"set_workers", with_number<EventKind::kSetWorkers>, METH_O, "set_workers(number)."},
        {"wake_in_ms", wake_in_ms, METH_NOARGS, "Milliseconds until tick() is due; -1: never."},
        {nullptr, nullptr, 0, nullptr},
    };
    return table;
}

PyGetSetDef getters[] = {
    {"phase", get_phase, nullptr, "idle, running, reloading, stopping, quitting or halted.",
     nullptr},
    {"wanted", get_wanted, nullptr, "How many workers are wanted, once all is settled.", nullptr},
    {"target", get_target, nullptr, "How many workers are kept now.", nullptr},
    {"generation", get_generation, nullptr, "Of the configuration in force; 1 at first.", nullptr},
    {"rollout", get_rollout, nullptr, "settled, trial or rolling.", nullptr},
    {"last_reload_failed", get_reload_failed, nullptr, "What served before the reload goes on.",
     nullptr},
    {"age", get_age, nullptr, "Age of the youngest worker: how many were forked so far.", nullptr},
    {"serving", get_serving, nullptr, "How many workers serve.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr},
};

}  // namespace

int add_supervisor_type(PyObject* module) {
    PyType_Slot slots[] = {
        {Py_tp_doc, const_cast<char*>("The master's policy: events in, actions out.")},
        {Py_tp_new, reinterpret_cast<void*>(supervisor_new)},
        {Py_tp_dealloc, reinterpret_cast<void*>(supervisor_dealloc)},
        {Py_tp_methods, methods()},
        {Py_tp_getset, getters},
        {0, nullptr},
    };
    PyType_Spec spec = {"monoceros._core.Supervisor", sizeof(SupervisorObject), 0,
                        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, slots};
    Ref type(PyType_FromModuleAndSpec(module, &spec, nullptr));
    if (!type) return -1;
    return PyModule_AddObjectRef(module, "Supervisor", type.get());
}

}  // namespace mono::python
