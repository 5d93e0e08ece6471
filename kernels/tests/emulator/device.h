// An emulated device: memory that knows what was written to it, and blocks whose threads run in random order.
//
// Kernels are compiled with `-fsanitize=thread`, but without its library: the compiler then calls a function before each
// access to memory, and those functions are here (access.cpp). Each access to device or shared memory is checked:
// it must lie within an allocation, read only what was written, and be ordered by a barrier with conflicting accesses of
// other threads. At some of the accesses, chosen by the seed, another thread goes on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

namespace emulator {

struct Index {
    unsigned x, y, z;
};

// The built-in variables of the thread that runs.
extern Index thread_index, block_index, block_size;

// Waits until all threads of the block are here.
void barrier();

enum class Access { Read, Write, AtomicRead, AtomicWrite };

// Checks an access of the running thread, and may let other threads go on before it.
void check_access(const volatile void *address, size_t size, Access access);

// Replaces a word in one step and returns what it was. Called by instrumented code; so the accesses to the word itself
// are hidden from the instrumentation.
template <typename T, typename F>
__attribute__((no_sanitize("thread"), noinline)) T atomic(T *word, F change) {
    check_access(word, sizeof(T), Access::AtomicWrite);
    T old = *word;
    *word = change(old);
    return old;
}

// Ends the process with a line that says what the kernel did wrong, where, and under which seed.
[[noreturn]] void report(const std::string &what);

// A kernel with its arguments, ready to run as one thread.
using Launch = std::function<void()>;

// Runs all threads of all blocks.
void run(const char *kernel, unsigned blocks, unsigned threads, const Launch &launch);

// Memory of the device. Allocations lie apart from each other, and hold arbitrary bytes.
void *allocate(size_t size);
void release(void *memory);
size_t free_memory();
size_t total_memory();
// Copies and fills, as the driver does: `check` says that the range must be allocated, and if `reads`, be written.
void check_range(const void *memory, size_t size, bool reads);
void mark_written(const void *memory, size_t size);

uint64_t setting(const char *name, uint64_t otherwise);
uint64_t random_number();

} // namespace emulator
