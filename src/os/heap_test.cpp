#include "os/heap.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <fstream>
#include <vector>

namespace mono::os {
namespace {

#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

size_t resident_mib() {
    std::ifstream file("/proc/self/statm");
    size_t total = 0;
    size_t resident = 0;
    file >> total >> resident;
    return resident * static_cast<size_t>(getpagesize()) >> 20;
}

// One block at the end keeps the heap from shrinking by itself.
TEST(Heap, WhatABurstTookGoesBack) {
    bound_heap();
    const size_t before = resident_mib();
    std::vector<void*> blocks;
    for (int i = 0; i < 1'500; ++i) {
        blocks.push_back(std::malloc(64'000));
        std::memset(blocks.back(), 1, 64'000);
    }
    void* last = std::malloc(100);
    for (void* block : blocks) std::free(block);
    EXPECT_GT(resident_mib() - before, 60u);
    trim_heap();
    EXPECT_LT(resident_mib() - before, 20u);
    std::free(last);
}

#endif

TEST(Heap, MayBeCalledAtAnyTime) {
    bound_heap();
    trim_heap();
    bound_heap();
}

}  // namespace
}  // namespace mono::os
