// A copy of the process: a child with this process's memory and the calling thread alone, for code
// that reads what other threads may be writing at the same time. In the copy they stand still, and
// where they had left something half done only the copy suffers. It sends no SIGCHLD, and wait(2)
// does not see it; fork handlers do not run. Any thread; no lock should be held, because it waits.
#pragma once

namespace mono::os {

// Has a copy handle signal `number` as this process would, and waits for its end: two seconds at
// most. False: the system gave no process, or the copy did not come to its end.
bool handle_in_copy(int number);

}  // namespace mono::os
