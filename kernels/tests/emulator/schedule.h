// Threads of a block as fibers, of which one runs at a time.
#pragma once

#include <cstdint>

namespace emulator {

// Overwrites shared memory with arbitrary bytes that count as never written.
void poison_shared();

// Whether a kernel runs.
bool is_running();

// Lets another thread of the block go on, at some of the calls.
void maybe_yield();

// The launch, block, epoch (number of barriers passed) and thread that run.
struct Running {
    uint32_t launch, block, epoch, thread;
};
Running running_thread();

} // namespace emulator
