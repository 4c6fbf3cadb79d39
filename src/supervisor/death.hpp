// The sentence that explains why a worker is gone, and how loudly to say it. Pure.
#pragma once

#include <string>
#include <string_view>

#include "supervisor/event.hpp"
#include "supervisor/worker_table.hpp"

namespace mono::supervisor {

struct Death {
    int level = 0;  // 0: nothing to say, it went as it was asked to
    std::string text;
};

// What became of it, without its name: "exited with code 3". status: as waitpid() reports it.
std::string cause(const Worker& worker, int status);
Death explain(const Worker& worker, int status);

bool exited_with(int status, int code);
bool ended_well(int status);
// Somebody else ended it: an operator, or the kernel for want of memory. No fault of its code.
bool ended_by_others(int status);

// "SIGTERM" for 15; "signal 99" for what has no name here.
std::string signal_name(int number);
// "term" for 15, as gunicorn's boot lines say it.
std::string short_signal_name(int number);

}  // namespace mono::supervisor
