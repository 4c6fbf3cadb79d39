#include "os/process.hpp"

#include <sys/prctl.h>

namespace mono::os {

bool set_parent_death_signal(int number) {
    return ::prctl(PR_SET_PDEATHSIG, static_cast<unsigned long>(number), 0, 0, 0) == 0;
}

int parent_death_signal() {
    int number = 0;
    if (::prctl(PR_GET_PDEATHSIG, &number, 0, 0, 0) != 0) return 0;
    return number;
}

void set_thread_name(const char* name) { ::prctl(PR_SET_NAME, name, 0, 0, 0); }

}  // namespace mono::os
