// Where the application comes back in a child that it forked: the process ends (docs/adr/0018).
#pragma once

namespace mono::python {

// With the GIL, and with the exception that the application raised, if it did:
// monoceros.host.forked says how the process ends.
[[noreturn]] void leave_forked_child();

}  // namespace mono::python
