// Engine.collect_overdue, interrupt_overdue and interrupt_again: from the engine's overdue requests
// to Python. But for the last, called by the main thread's signal handler, with the GIL, which is
// not given up in here: where a thread is and what it runs belong together.

#include <string>
#include <vector>

#include "base/clock.hpp"
#include "python/engine_parts.hpp"

namespace mono::python {
namespace {

constexpr int kCallsMax = 100;  // of a stack

// A collection could run anything, and with it other threads; before Python 3.12, also while
// sys._current_frames() holds a lock (python/cpython#106883).
class WithoutCollections {
  public:
    WithoutCollections() : was_on_(PyGC_Disable() != 0) {}
    ~WithoutCollections() {
        if (was_on_) PyGC_Enable();
    }
    WithoutCollections(const WithoutCollections&) = delete;
    WithoutCollections& operator=(const WithoutCollections&) = delete;

  private:
    bool was_on_;
};

// Of the application; workers/deadlines.py has the same numbers.
enum class Stage : int { kNotBegun, kRunning, kEnded };

// Copied under the engine's lock: no Python object is made there, because that could run anything.
struct Late {
    unsigned long thread;
    Ref handle;  // the runner's Exchange object; empty in threads
    Stage stage;
    std::string id, method, target, client;
    long long ran_ms;
};

Stage stage_of(const session::Exchange& exchange) {
    if (exchange.leaving) return Stage::kEnded;
    return exchange.entered ? Stage::kRunning : Stage::kNotBegun;
}

std::vector<Late> collect(engine::Engine& engine) {
    std::vector<Late> all;
    const int64_t now_us = base::monotonic_us();
    engine.collect_overdue([&](session::Exchange& exchange, bool untold) {
        if (!untold) return;
        all.push_back({static_cast<unsigned long>(exchange.thread),
                       Ref::borrow(static_cast<PyObject*>(exchange.user)), stage_of(exchange),
                       std::string(exchange.request_id()),
                       std::string(exchange.text(exchange.head.method)),
                       std::string(exchange.text(exchange.head.target)), exchange.peer.host,
                       (now_us - exchange.dispatched_us) / 1'000});
    });
    return all;
}

PyObject* to_tuple(const Late& late) {
    PyObject* handle = late.handle ? late.handle.get() : Py_None;
    return Py_BuildValue("(kOiNNNNL)", late.thread, handle, static_cast<int>(late.stage),
                         latin1_text(late.id).release(), latin1_text(late.method).release(),
                         latin1_text(late.target).release(), latin1_text(late.client).release(),
                         late.ran_ms);
}

// [(code, line)], the innermost call first.
Ref calls_of(PyObject* innermost) {
    Ref calls(PyList_New(0));
    Ref frame = Ref::borrow(innermost);
    for (int i = 0; calls && frame && i < kCallsMax; ++i) {
        auto* at = reinterpret_cast<PyFrameObject*>(frame.get());
        Ref call(Py_BuildValue("(Ni)", PyFrame_GetCode(at), PyFrame_GetLineNumber(at)));
        if (!call || PyList_Append(calls.get(), call.get()) < 0) return Ref();
        frame.reset(reinterpret_cast<PyObject*>(PyFrame_GetBack(at)));
    }
    return calls;
}

// {thread: calls}. Without a GIL the other threads run on, and their frames are not to be touched.
Ref stacks_of_threads() {
    PyObject* current_frames = PySys_GetObject("_current_frames");
    if (current_frames == nullptr) return Ref(PyDict_New());
    Ref frames(PyObject_CallNoArgs(current_frames));
    Ref stacks(PyDict_New());
    if (!frames || !stacks) return Ref();
    [[maybe_unused]] Ref here(PyLong_FromUnsignedLong(PyThread_get_thread_ident()));
    PyObject* thread;
    PyObject* frame;
    for (Py_ssize_t at = 0; PyDict_Next(frames.get(), &at, &thread, &frame) != 0;) {
#ifdef Py_GIL_DISABLED
        if (PyObject_RichCompareBool(thread, here.get(), Py_EQ) != 1) continue;
#endif
        Ref calls = calls_of(frame);
        if (!calls || PyDict_SetItem(stacks.get(), thread, calls.get()) < 0) return Ref();
    }
    return stacks;
}

}  // namespace

PyObject* engine_collect_overdue(PyObject* self, PyObject*) {
    WithoutCollections without;
    std::vector<Late> all = collect(*engine_parts(self)->engine);
    Ref list(PyList_New(0));
    Ref stacks = all.empty() ? Ref(PyDict_New()) : stacks_of_threads();
    if (!list || !stacks) return nullptr;
    for (const Late& late : all) {
        Ref item(to_tuple(late));
        if (!item || PyList_Append(list.get(), item.get()) < 0) return nullptr;
    }
    return Py_BuildValue("(NN)", stacks.release(), list.release());
}

PyObject* engine_interrupt_overdue(PyObject* self, PyObject* exception) {
    const unsigned long here = PyThread_get_thread_ident();
    bool here_is_late = false;
    std::vector<Ref> handles;
    engine_parts(self)->engine->interrupt_overdue([&](session::Exchange& exchange) {
        if (exchange.user != nullptr) {
            handles.push_back(Ref::borrow(static_cast<PyObject*>(exchange.user)));
            return false;
        }
        const auto thread = static_cast<unsigned long>(exchange.thread);
        here_is_late |= thread == here;
        // Under the lock: the thread cannot have gone on to another request meanwhile.
        if (thread != here) PyThreadState_SetAsyncExc(thread, exception);
        return true;
    });
    Ref list(PyList_New(0));
    for (const Ref& handle : handles) {
        if (!list || PyList_Append(list.get(), handle.get()) < 0) return nullptr;
    }
    return list ? Py_BuildValue("(ON)", here_is_late ? Py_True : Py_False, list.release())
                : nullptr;
}

// In the thread in which it was lost. Of a thread's own request nobody raises before this returns.
PyObject* engine_interrupt_again(PyObject* self, PyObject* lost) {
    Ref handle(PyObject_GetAttrString(lost, "exchange"));
    if (!handle) return nullptr;
    const void* user = handle.get() == Py_None ? nullptr : handle.get();
    const unsigned long here = PyThread_get_thread_ident();
    engine_parts(self)->engine->interrupt_again([&](const session::Exchange& exchange) {
        if (exchange.user != user) return false;
        return user != nullptr || static_cast<unsigned long>(exchange.thread) == here;
    });
    Py_RETURN_NONE;
}

}  // namespace mono::python
