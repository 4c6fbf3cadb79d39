// Engine.interrupt_overdue: from the engine's overdue requests to Python exceptions. Called by the
// main thread's signal handler, with the GIL.

#include <string>
#include <vector>

#include "base/clock.hpp"
#include "python/engine_parts.hpp"

namespace mono::python {
namespace {

// Copied under the engine's lock: no Python object is made there, because that could run anything.
struct Story {
    unsigned long thread;
    Ref handle;  // the runner's Exchange object; empty in threads
    std::string id, method, target, client;
    long long ran_ms;
};

PyObject* to_tuple(const Story& story, unsigned long here) {
    Ref id = latin1_text(story.id);
    Ref method = latin1_text(story.method);
    Ref target = latin1_text(story.target);
    Ref client = latin1_text(story.client);
    if (!id || !method || !target || !client) return nullptr;
    bool threads = !story.handle;
    PyObject* handle = threads ? Py_None : story.handle.get();
    return Py_BuildValue("(OOOOOOL)", threads && story.thread == here ? Py_True : Py_False, handle,
                         id.get(), method.get(), target.get(), client.get(), story.ran_ms);
}

}  // namespace

// interrupt_overdue(exception) -> [(here, Exchange or None, id, method, target, client, ms)]
PyObject* engine_interrupt_overdue(PyObject* self, PyObject* exception) {
    EngineParts& parts = *engine_parts(self);
    const unsigned long here = PyThread_get_thread_ident();
    std::vector<Story> stories;
    parts.engine->visit_overdue([&](session::Exchange& exchange) {
        auto* user = static_cast<PyObject*>(exchange.user);
        stories.push_back({static_cast<unsigned long>(exchange.thread),
                           user == nullptr ? Ref() : Ref::borrow(user),
                           std::string(exchange.request_id()),
                           std::string(exchange.text(exchange.head.method)),
                           std::string(exchange.text(exchange.head.target)), exchange.peer.host,
                           (base::monotonic_us() - exchange.dispatched_us) / 1'000});
        // Under the lock: the thread cannot have gone on to another request meanwhile.
        if (user == nullptr && exchange.thread != here)
            PyThreadState_SetAsyncExc(static_cast<unsigned long>(exchange.thread), exception);
    });
    Ref list(PyList_New(0));
    for (const Story& story : stories) {
        Ref item(to_tuple(story, here));
        if (!list || !item || PyList_Append(list.get(), item.get()) < 0) return nullptr;
    }
    return list.release();
}

}  // namespace mono::python
