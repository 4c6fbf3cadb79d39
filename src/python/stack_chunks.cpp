// Stack chunks: where CPython 3.11 and later keep the frames of a thread, or of a greenlet, 16 KiB
// at a time. It maps each from the kernel and gives it back, which for a greenlet that runs one
// short request costs more than everything else about it. Here a few of them are kept.
//
// Where: below PyObject_SetArenaAllocator, for chunks of just this size; everything else, and what
// is too much, goes to the allocator that was there. Which thread: any. The lock is only ever
// tried: nobody waits, and a fork in the middle merely leaves the child without the cache.
#include <atomic>
#include <cstddef>

#include "python/types.hpp"

namespace mono::python {
namespace {

constexpr size_t kChunkBytes = 16 * 1024;  // DATA_STACK_CHUNK_SIZE of CPython
constexpr size_t kKeptMax = 64;            // 1 MiB; greenlets come in batches of a loop's turn

struct ChunkCache {
    PyObjectArenaAllocator below;
    std::atomic_flag taken;
    size_t kept = 0;
    void* chunks[kKeptMax];
};

class TryLock {
  public:
    explicit TryLock(ChunkCache& cache)
        : taken_(cache.taken), owns_(!taken_.test_and_set(std::memory_order_acquire)) {}
    ~TryLock() {
        if (owns_) taken_.clear(std::memory_order_release);
    }
    explicit operator bool() const { return owns_; }

  private:
    std::atomic_flag& taken_;
    bool owns_;
};

void* allocate(void* context, size_t size) {
    ChunkCache& cache = *static_cast<ChunkCache*>(context);
    if (size == kChunkBytes) {
        TryLock lock(cache);
        if (lock && cache.kept != 0) return cache.chunks[--cache.kept];
    }
    return cache.below.alloc(cache.below.ctx, size);
}

void release(void* context, void* memory, size_t size) {
    ChunkCache& cache = *static_cast<ChunkCache*>(context);
    if (size == kChunkBytes) {
        TryLock lock(cache);
        if (lock && cache.kept < kKeptMax) {
            cache.chunks[cache.kept++] = memory;
            return;
        }
    }
    auto unmap = cache.below.free;
    unmap(cache.below.ctx, memory, size);
}

PyObject* keep_stack_chunks(PyObject*, PyObject*) {
    static ChunkCache* cache = nullptr;  // the interpreter's allocators are of the process as well
    if (cache == nullptr) {
        cache = new ChunkCache;  // never freed: frames outlive everything
        PyObject_GetArenaAllocator(&cache->below);
        PyObjectArenaAllocator ours{cache, allocate, release};
        PyObject_SetArenaAllocator(&ours);
    }
    Py_RETURN_NONE;
}

PyMethodDef functions[] = {
    {"keep_stack_chunks", keep_stack_chunks, METH_NOARGS,
     "From now on memory for the frames of greenlets is used again."},
    {nullptr, nullptr, 0, nullptr},
};

}  // namespace

int add_stack_chunks(PyObject* module) { return PyModule_AddFunctions(module, functions); }

}  // namespace mono::python
