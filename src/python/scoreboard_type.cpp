// _core.Scoreboard: the master makes one before it forks; each worker writes its own slot.
#include "python/scoreboard_type.hpp"

#include <algorithm>
#include <cstring>
#include <new>

#include "base/clock.hpp"
#include "os/crash_handler.hpp"
#include "os/shm.hpp"
#include "python/types.hpp"

namespace mono::python {
namespace {

constexpr Py_ssize_t kSlotsMax = 65'536;

struct ScoreboardObject {
    PyObject_HEAD os::SharedMemory memory;
    board::Scoreboard board;
};

ScoreboardObject* self_of(PyObject* object) { return reinterpret_cast<ScoreboardObject*>(object); }

void scoreboard_dealloc(PyObject* self) {
    PyTypeObject* type = Py_TYPE(self);
    self_of(self)->memory.~SharedMemory();
    type->tp_free(self);
    Py_DECREF(type);
}

PyObject* scoreboard_new(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
    static const char* const keywords[] = {"slots", nullptr};
    Py_ssize_t slots = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "n:Scoreboard", const_cast<char**>(keywords),
                                     &slots)) {
        return nullptr;
    }
    if (slots < 1 || slots > kSlotsMax) {
        return PyErr_Format(PyExc_ValueError, "slots must be within 1 and %zd, not %zd", kSlotsMax,
                            slots);
    }
    const auto count = static_cast<uint32_t>(slots);
    os::SharedMemory memory(board::Scoreboard::bytes(count));
    if (memory.data() == nullptr) return PyErr_SetFromErrno(PyExc_OSError);
    PyObject* self = type->tp_alloc(type, 0);
    if (self == nullptr) return nullptr;
    void* data = memory.data();
    new (&self_of(self)->memory) os::SharedMemory(std::move(memory));
    new (&self_of(self)->board) board::Scoreboard(data, count);
    return self;
}

// The slot that a method's single argument names.
board::Slot* slot_argument(PyObject* self, PyObject* argument) {
    const Py_ssize_t index = PyLong_AsSsize_t(argument);
    if (index == -1 && PyErr_Occurred()) return nullptr;
    const board::Scoreboard& board = self_of(self)->board;
    if (index < 0 || index >= static_cast<Py_ssize_t>(board.size())) {
        PyErr_Format(PyExc_IndexError, "no slot %zd", index);
        return nullptr;
    }
    return &board.slot(static_cast<uint32_t>(index));
}

PyObject* beat(PyObject* self, PyObject* index) {
    board::Slot* slot = slot_argument(self, index);
    if (slot == nullptr) return nullptr;
    slot->beat_ms.store(base::monotonic_ms(), std::memory_order_relaxed);
    Py_RETURN_NONE;
}

PyObject* last_beat_ms(PyObject* self, PyObject* index) {
    board::Slot* slot = slot_argument(self, index);
    if (slot == nullptr) return nullptr;
    return PyLong_FromLongLong(slot->beat_ms.load(std::memory_order_relaxed));
}

PyObject* set_ready(PyObject* self, PyObject* index) {
    board::Slot* slot = slot_argument(self, index);
    if (slot == nullptr) return nullptr;
    slot->beat_ms.store(base::monotonic_ms(), std::memory_order_relaxed);
    slot->ready.store(1, std::memory_order_release);
    Py_RETURN_NONE;
}

PyObject* ready(PyObject* self, PyObject* index) {
    board::Slot* slot = slot_argument(self, index);
    if (slot == nullptr) return nullptr;
    return PyBool_FromLong(slot->ready.load(std::memory_order_acquire) != 0);
}

PyObject* requests(PyObject* self, PyObject* index) {
    board::Slot* slot = slot_argument(self, index);
    if (slot == nullptr) return nullptr;
    return PyLong_FromUnsignedLongLong(slot->ledger.accepted.load(std::memory_order_relaxed));
}

PyObject* clear(PyObject* self, PyObject* index) {
    board::Slot* slot = slot_argument(self, index);
    if (slot == nullptr) return nullptr;
    const auto number = static_cast<uint32_t>(slot - &self_of(self)->board.slot(0));
    self_of(self)->board.clear(number);
    Py_RETURN_NONE;
}

PyObject* totals(PyObject* self, PyObject*) {
    const board::Totals sums = self_of(self)->board.totals();
    const auto number = [](uint64_t value) { return static_cast<unsigned long long>(value); };
    return Py_BuildValue("{s:K,s:K,s:K,s:K}", "accepted", number(sums.accepted), "answered",
                         number(sums.answered), "refused", number(sums.refused), "aborted",
                         number(sums.aborted));
}

PyObject* set_stopping(PyObject* self, PyObject*) {
    self_of(self)->board.header().stopping.store(1, std::memory_order_release);
    Py_RETURN_NONE;
}

PyObject* get_leaving(PyObject* self, PyObject* index) {
    board::Slot* slot = slot_argument(self, index);
    if (slot == nullptr) return nullptr;
    return PyBool_FromLong(slot->leaving.load(std::memory_order_acquire) != 0);
}

PyObject* set_leaving(PyObject* self, PyObject* index) {
    board::Slot* slot = slot_argument(self, index);
    if (slot == nullptr) return nullptr;
    slot->leaving.store(1, std::memory_order_release);
    Py_RETURN_NONE;
}

// Never back.
PyObject* set_service(board::Slot* slot, board::Service service) {
    if (slot == nullptr) return nullptr;
    if (slot->service.load(std::memory_order_relaxed) < service)
        slot->service.store(service, std::memory_order_release);
    Py_RETURN_NONE;
}

PyObject* withdraw(PyObject* self, PyObject* index) {
    return set_service(slot_argument(self, index), board::Service::kWithdrawn);
}

PyObject* end_service(PyObject* self, PyObject* index) {
    return set_service(slot_argument(self, index), board::Service::kOver);
}

PyObject* stopping(PyObject* self, PyObject*) {
    return PyBool_FromLong(self_of(self)->board.header().stopping.load(std::memory_order_acquire) !=
                           0);
}

// Whoever sends this slot's worker a signal that ends it is noted there.
PyObject* note_senders(PyObject* self, PyObject* index) {
    board::Slot* slot = slot_argument(self, index);
    if (slot == nullptr) return nullptr;
    os::note_signal_senders(&slot->told_by);
    Py_RETURN_NONE;
}

// flights(slot) -> [(phase, id, method, target, client, began_us, dispatched_us, overdue_us,
// story)]
PyObject* flights(PyObject* self, PyObject* index) {
    const board::Slot* slot = slot_argument(self, index);
    if (slot == nullptr) return nullptr;
    Ref list(PyList_New(0));
    const uint32_t used = slot->flights_used.load(std::memory_order_acquire);
    for (uint32_t i = 0; list && i < std::min(used, board::kFlightsMax); ++i) {
        const board::Flight& flight = slot->flights[i];
        const board::FlightPhase phase = flight.phase.load(std::memory_order_acquire);
        if (phase == board::FlightPhase::kFree) continue;
        Ref item(Py_BuildValue(
            "(iNNNNLLLi)", static_cast<int>(phase), latin1_text(flight.id.view()).release(),
            latin1_text(flight.method.view()).release(),
            latin1_text(flight.target.view()).release(),
            latin1_text(flight.client.view()).release(), static_cast<long long>(flight.began_us),
            static_cast<long long>(flight.dispatched_us),
            static_cast<long long>(flight.overdue_us.load(std::memory_order_relaxed)),
            static_cast<int>(flight.story.load(std::memory_order_relaxed))));
        if (!item || PyList_Append(list.get(), item.get()) < 0) return nullptr;
    }
    return list.release();
}

PyObject* told_by(PyObject* self, PyObject* index) {
    const board::Slot* slot = slot_argument(self, index);
    if (slot == nullptr) return nullptr;
    return PyLong_FromUnsignedLong(slot->told_by.load(std::memory_order_relaxed));
}

PyObject* overdue(PyObject* self, PyObject* index) {
    const board::Slot* slot = slot_argument(self, index);
    if (slot == nullptr) return nullptr;
    return PyLong_FromUnsignedLong(slot->overdue.load(std::memory_order_relaxed));
}

// tell(slot, request_id) -> whether nobody has told of this overdue request yet.
PyObject* tell(PyObject* self, PyObject* args) {
    PyObject* index;
    const char* id;
    Py_ssize_t length;
    if (!PyArg_ParseTuple(args, "Os#", &index, &id, &length)) return nullptr;
    board::Slot* slot = slot_argument(self, index);
    if (slot == nullptr) return nullptr;
    const uint32_t used = slot->flights_used.load(std::memory_order_acquire);
    for (uint32_t i = 0; i < std::min(used, board::kFlightsMax); ++i) {
        board::Flight& flight = slot->flights[i];
        if (flight.phase.load(std::memory_order_acquire) == board::FlightPhase::kFree) continue;
        if (flight.id.view() != std::string_view(id, static_cast<size_t>(length))) continue;
        return PyBool_FromLong(flight.story.exchange(board::Story::kTold) != board::Story::kTold);
    }
    Py_RETURN_TRUE;
}

PyMethodDef methods[] = {
    {"beat", beat, METH_O, "beat(slot): the worker of this slot is alive now."},
    {"last_beat_ms", last_beat_ms, METH_O, "Monotonic milliseconds of the last beat; 0: never."},
    {"set_ready", set_ready, METH_O, "set_ready(slot): the worker enters its serve loop."},
    {"ready", ready, METH_O, "Whether the slot's worker has become ready."},
    {"requests", requests, METH_O, "How many requests the slot's worker has accepted."},
    {"clear", clear, METH_O, "Empties a slot, its counters being added to the dead workers'."},
    {"set_stopping", set_stopping, METH_NOARGS, "The whole server stops: nobody accepts after us."},
    {"leaving", get_leaving, METH_O, "leaving(slot): whether the master has told it to go."},
    {"set_leaving", set_leaving, METH_O, "set_leaving(slot): its worker is told to go."},
    {"withdraw", withdraw, METH_O, "withdraw(slot): its worker takes no more requests."},
    {"end_service", end_service, METH_O,
     "end_service(slot): its worker only waits for threads, and beats no more."},
    {"stopping", stopping, METH_NOARGS, "Whether set_stopping() was called."},
    {"note_senders", note_senders, METH_O,
     "note_senders(slot): in its worker, notes which process sends TERM, INT, QUIT or ABRT."},
    {"flights", flights, METH_O,
     "flights(slot) -> [(phase, id, method, target, client, began_us, dispatched_us, overdue_us, "
     "story)]: the requests that its worker holds, or held when it died."},
    {"told_by", told_by, METH_O, "Which process sent its worker a signal that ends it; 0: none."},
    {"overdue", overdue, METH_O, "How many of its requests are past request_timeout."},
    {"tell", tell, METH_VARARGS,
     "tell(slot, request_id) -> True for the first who tells of this overdue request."},
    {"totals", totals, METH_NOARGS, "Counters of all workers, living and dead."},
    {nullptr, nullptr, 0, nullptr},
};

PyType_Slot type_slots[] = {
    {Py_tp_doc, const_cast<char*>("Scoreboard(slots): heartbeats and counters in shared memory.")},
    {Py_tp_new, reinterpret_cast<void*>(scoreboard_new)},
    {Py_tp_dealloc, reinterpret_cast<void*>(scoreboard_dealloc)},
    {Py_tp_methods, methods},
    {0, nullptr},
};

PyType_Spec type_spec = {
    "monoceros._core.Scoreboard",
    sizeof(ScoreboardObject),
    0,
    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE,
    type_slots,
};

}  // namespace

// Recognised by its destructor: the type object is per module, and this file has no state.
const board::Scoreboard* scoreboard_of(PyObject* object) {
    if (Py_TYPE(object)->tp_dealloc != scoreboard_dealloc) {
        PyErr_Format(PyExc_TypeError, "expected a Scoreboard, not %.100s",
                     Py_TYPE(object)->tp_name);
        return nullptr;
    }
    return &self_of(object)->board;
}

const os::SharedMemory* memory_of(PyObject* object) {
    return scoreboard_of(object) == nullptr ? nullptr : &self_of(object)->memory;
}

board::Slot* scoreboard_slot(PyObject* object, Py_ssize_t index) {
    const board::Scoreboard* board = scoreboard_of(object);
    if (board == nullptr) return nullptr;
    if (index < 0 || index >= static_cast<Py_ssize_t>(board->size())) {
        PyErr_Format(PyExc_IndexError, "no slot %zd", index);
        return nullptr;
    }
    return &board->slot(static_cast<uint32_t>(index));
}

int add_scoreboard_type(PyObject* module) {
    Ref type(PyType_FromModuleAndSpec(module, &type_spec, nullptr));
    if (!type) return -1;
    return PyModule_AddObjectRef(module, "Scoreboard", type.get());
}

}  // namespace mono::python
