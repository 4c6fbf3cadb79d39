#include "os/heap.hpp"

#include <malloc.h>

#include <cstdlib>
#include <string_view>

namespace mono::os {

#ifdef __GLIBC__

void bound_heap() {
    const char* tunables = std::getenv("GLIBC_TUNABLES");
    const bool chosen = std::getenv("MALLOC_ARENA_MAX") != nullptr ||
                        (tunables != nullptr &&
                         std::string_view(tunables).find("arena_max") != std::string_view::npos);
    if (!chosen) mallopt(M_ARENA_MAX, 2);
}

void trim_heap() { malloc_trim(0); }

#else

void bound_heap() {}
void trim_heap() {}

#endif

}  // namespace mono::os
