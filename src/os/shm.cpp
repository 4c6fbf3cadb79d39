#include "os/shm.hpp"

#include <sys/mman.h>

namespace mono::os {

SharedMemory::SharedMemory(size_t bytes, Dumped dumped) : data_(nullptr), bytes_(bytes) {
    void* mapped =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) return;
    data_ = mapped;
    if (dumped == Dumped::kNo) (void)::madvise(mapped, bytes, MADV_DONTDUMP);
}

SharedMemory::~SharedMemory() {
    if (data_ != nullptr) ::munmap(data_, bytes_);
}

}  // namespace mono::os
