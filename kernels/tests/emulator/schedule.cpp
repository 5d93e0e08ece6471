// Runs the threads of a block as fibers: in random order, changed at barriers and at some accesses to memory.

#include "schedule.h"
#include "device.h"

#include <ucontext.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <utility>
#include <vector>

namespace emulator {

Index thread_index, block_index, block_size;

namespace {

constexpr size_t STACK_BYTES = 64 << 10;
constexpr unsigned MOST_THREADS = 1024;
// One of so many accesses lets another thread go on.
constexpr uint64_t ACCESSES_PER_YIELD = 32;

enum class State { Ready, AtBarrier, Done };

struct Fiber {
    ucontext_t context;
    State state = State::Done;
    // Not initialised, so that pages that no thread needs cost nothing.
    std::unique_ptr<char[]> stack;
};

std::vector<Fiber> fibers;
ucontext_t scheduler;
const Launch *current_launch;
const char *current_kernel = "";
unsigned current_fiber;
uint32_t launches, epoch;
bool kernel_runs;

void switch_to_scheduler() {
    swapcontext(&fibers[current_fiber].context, &scheduler);
}

void fiber_main() {
    for (;;) {
        (*current_launch)();
        fibers[current_fiber].state = State::Done;
        switch_to_scheduler();
    }
}

void make_fibers() {
    if (!fibers.empty()) return;
    fibers = std::vector<Fiber>(MOST_THREADS);
    for (Fiber &fiber : fibers) {
        fiber.stack.reset(new char[STACK_BYTES]);
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.get();
        fiber.context.uc_stack.ss_size = STACK_BYTES;
        fiber.context.uc_link = nullptr;
        makecontext(&fiber.context, fiber_main, 0);
    }
}

// Runs ready threads, in random order, until each waits at a barrier or has ended.
void run_until_barrier(std::vector<unsigned> &ready) {
    while (!ready.empty()) {
        size_t chosen = random_number() % ready.size();
        unsigned thread = ready[chosen];
        current_fiber = thread;
        thread_index = {thread, 0, 0};
        swapcontext(&scheduler, &fibers[thread].context);
        if (fibers[thread].state == State::Ready) continue;
        ready[chosen] = ready.back();
        ready.pop_back();
    }
}

void run_block(unsigned threads) {
    poison_shared();
    epoch = 0;
    std::vector<unsigned> ready;
    for (unsigned thread = 0; thread < threads; ++thread) {
        fibers[thread].state = State::Ready;
        ready.push_back(thread);
    }
    while (!ready.empty()) {
        run_until_barrier(ready);
        unsigned waiting = 0;
        for (unsigned thread = 0; thread < threads; ++thread) waiting += fibers[thread].state == State::AtBarrier;
        if (waiting == 0) return;
        if (waiting != threads) report("a barrier that some threads of the block never reach");
        ++epoch;
        for (unsigned thread = 0; thread < threads; ++thread) {
            fibers[thread].state = State::Ready;
            ready.push_back(thread);
        }
    }
}

} // namespace

void barrier() {
    fibers[current_fiber].state = State::AtBarrier;
    switch_to_scheduler();
}

void maybe_yield() {
    if (random_number() % ACCESSES_PER_YIELD == 0) switch_to_scheduler();
}

bool is_running() {
    return kernel_runs;
}

Running running_thread() {
    return {launches, block_index.x, epoch, current_fiber};
}

void run(const char *kernel, unsigned blocks, unsigned threads, const Launch &launch) {
    make_fibers();
    current_kernel = kernel;
    current_launch = &launch;
    ++launches;
    block_size = {threads, 1, 1};
    // Each block once, in random order (Fisher and Yates).
    std::vector<unsigned> order(blocks);
    for (unsigned block = 0; block < blocks; ++block) order[block] = block;
    for (unsigned block = blocks; block > 1; --block) std::swap(order[block - 1], order[random_number() % block]);
    kernel_runs = true;
    for (unsigned block : order) {
        block_index = {block, 0, 0};
        run_block(threads);
    }
    kernel_runs = false;
}

void report(const std::string &what) {
    fprintf(stderr, "emulated device: %s, in kernel `%s`, block %u, thread %u, seed %llu\n", what.c_str(),
            current_kernel, block_index.x, thread_index.x, (unsigned long long)setting("EMULATOR_SEED", 0));
    fflush(stderr);
    _exit(96);
}

uint64_t setting(const char *name, uint64_t otherwise) {
    const char *text = getenv(name);
    return text ? strtoull(text, nullptr, 10) : otherwise;
}

// SplitMix64 (Steele, Lea, Flood 2014).
uint64_t random_number() {
    static uint64_t state = setting("EMULATOR_SEED", 0);
    uint64_t z = state += 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

} // namespace emulator
