#include "os/memory.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

namespace mono::os {
namespace {

constexpr std::string_view kRollup =
    "557acb800000-7ffd5b9f5000 ---p 00000000 00:00 0                          [rollup]\n"
    "Rss:               10000 kB\n"
    "Pss:                4000 kB\n"
    "Pss_Dirty:           777 kB\n"
    "Private_Clean:       100 kB\n"
    "Private_Dirty:      2000 kB\n"
    "SwapPss:              99 kB\n"
    "Private_Hugetlb:      48 kB\n";

TEST(Memory, KindsAreRead) {
    EXPECT_EQ(memory_in_rollup(kRollup, MemoryKind::kPss), 4'000 * 1'024);
    EXPECT_EQ(memory_in_rollup(kRollup, MemoryKind::kPrivate), 2'148 * 1'024);
    EXPECT_EQ(memory_in_rollup("", MemoryKind::kPss), 0);
    EXPECT_EQ(memory_in_rollup("x\nPss:", MemoryKind::kPss), 0);
}

TEST(Memory, OfThisProcessGrowsWithIt) {
    constexpr size_t kBytes = 32 << 20;
    const int64_t before = process_memory(getpid(), MemoryKind::kPrivate);
    ASSERT_GT(before, 0);
    void* block = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(block, MAP_FAILED);
    std::memset(block, 1, kBytes);
    for (MemoryKind kind : {MemoryKind::kPss, MemoryKind::kPrivate})
        EXPECT_GE(process_memory(getpid(), kind), static_cast<int64_t>(kBytes));
    EXPECT_GE(process_memory(getpid(), MemoryKind::kPrivate), before + (kBytes / 2));
    munmap(block, kBytes);
}

TEST(Memory, OfNobodyIsNone) { EXPECT_EQ(process_memory(0x7fffffff, MemoryKind::kPss), 0); }

}  // namespace
}  // namespace mono::os
