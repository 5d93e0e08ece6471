// Memory of the emulated device, and the checks of each access to it.

#include "device.h"
#include "schedule.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>

// The linker defines the bounds of the section of shared memory.
extern "C" {
extern unsigned char __start_emulated_shared[];
extern unsigned char __stop_emulated_shared[];
}

namespace emulator {
namespace {

constexpr uint32_t SEVERAL = 0xffffffff;
// Bytes between allocations, and the alignment of each, as the real driver has it.
constexpr size_t ALIGNMENT = 256;

// Who made the latest accesses of one kind since the launch began.
struct Accessor {
    uint32_t launch, block, epoch, thread;
};

// What is known of four bytes: how many of them are allocated, which were written (a bit each), and who accessed them.
struct Cell {
    uint8_t allocated, written;
    Accessor accessors[4];
};

void *map(size_t size) {
    void *memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) report("no memory for the emulated device");
    return memory;
}

struct Space {
    unsigned char *start;
    size_t size;
    Cell *cells;

    bool has(const volatile void *address) const {
        auto byte = (const unsigned char *)address;
        return byte >= start && byte < start + size;
    }
    Cell &cell(size_t offset) const { return cells[offset / 4]; }
};

Space make_space(unsigned char *start, size_t size) {
    return {start, size, (Cell *)map((size / 4 + 1) * sizeof(Cell))};
}

Space &global_space() {
    static Space space = [] {
        size_t size = setting("EMULATOR_MEMORY", 48 << 20);
        return make_space((unsigned char *)map(size), size);
    }();
    return space;
}

Space &shared_space() {
    static Space space = make_space(__start_emulated_shared, __stop_emulated_shared - __start_emulated_shared);
    return space;
}

std::map<unsigned char *, size_t> allocations;
size_t next_free = ALIGNMENT;

bool is_ordered(const Accessor &other, const Accessor &me) {
    if (other.launch != me.launch) return true;
    if (other.block != me.block) return false;
    return other.epoch < me.epoch || other.thread == me.thread;
}

void note(Accessor &last, const Accessor &me) {
    if (last.launch != me.launch) {
        last = me;
    } else if (last.block != me.block) {
        last.block = SEVERAL;
    } else if (last.epoch == me.epoch && last.thread != me.thread) {
        last.thread = SEVERAL;
    } else {
        last = me;
    }
}

bool conflicts(Access one, Access other) {
    bool is_write = one == Access::Write || other == Access::Write || one == Access::AtomicWrite ||
                    other == Access::AtomicWrite;
    bool is_atomic = (one == Access::AtomicRead || one == Access::AtomicWrite) &&
                     (other == Access::AtomicRead || other == Access::AtomicWrite);
    return is_write && !is_atomic;
}

void check_cell(Cell &cell, unsigned from, unsigned to, Access access) {
    uint8_t bits = uint8_t(((1u << (to - from)) - 1) << from);
    if (to > cell.allocated) report("an access out of bounds");
    if (access != Access::Write && (cell.written & bits) != bits) report("a read of memory that was never written");
    Running now = running_thread();
    Accessor me = {now.launch, now.block, now.epoch, now.thread};
    for (int other = 0; other < 4; ++other) {
        if (conflicts(access, Access(other)) && !is_ordered(cell.accessors[other], me)) report("a data race");
    }
    note(cell.accessors[int(access)], me);
    if (access != Access::AtomicRead && access != Access::Read) cell.written |= bits;
}

// Calls a function with each cell of a range, and the range of its bytes.
template <typename F>
void for_cells(const Space &space, const volatile void *address, size_t size, F call) {
    size_t offset = (const unsigned char *)address - space.start;
    size_t end = offset + size;
    while (offset < end) {
        unsigned from = offset % 4;
        unsigned to = unsigned(end - offset < 4 - from ? from + (end - offset) : 4);
        call(space.cell(offset), from, to);
        offset += to - from;
    }
}

} // namespace

void check_access(const volatile void *address, size_t size, Access access) {
    if (!is_running()) return;
    bool is_global = global_space().has(address);
    if (!is_global && !shared_space().has(address)) return;
    maybe_yield();
    const Space &space = is_global ? global_space() : shared_space();
    for_cells(space, address, size, [=](Cell &cell, unsigned from, unsigned to) { check_cell(cell, from, to, access); });
}

void poison_shared() {
    Space &space = shared_space();
    memset((void *)space.cells, 0, (space.size / 4 + 1) * sizeof(Cell));
    for (size_t offset = 0; offset < space.size; ++offset) {
        space.start[offset] = (unsigned char)random_number();
        space.cell(offset).allocated = 4;
    }
}

void *allocate(size_t size) {
    Space &space = global_space();
    if (allocations.empty()) next_free = ALIGNMENT;
    if (size > space.size - next_free) return nullptr;
    unsigned char *memory = space.start + next_free;
    next_free += (size + 2 * ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (next_free > space.size) next_free = space.size;
    allocations[memory] = size;
    for_cells(space, memory, size, [](Cell &cell, unsigned, unsigned to) {
        cell = Cell();
        cell.allocated = uint8_t(to);
    });
    unsigned char poison = (unsigned char)random_number();
    memset(memory, poison, size);
    return memory;
}

void release(void *memory) {
    auto found = allocations.find((unsigned char *)memory);
    if (found == allocations.end()) report("memory is freed that is not allocated");
    for_cells(global_space(), memory, found->second, [](Cell &cell, unsigned, unsigned) { cell = Cell(); });
    allocations.erase(found);
}

size_t free_memory() {
    return total_memory() - (allocations.empty() ? 0 : next_free);
}

size_t total_memory() {
    return global_space().size;
}

void check_range(const void *memory, size_t size, bool reads) {
    if (!global_space().has(memory)) report("a copy outside of device memory");
    for_cells(global_space(), memory, size, [reads](Cell &cell, unsigned from, unsigned to) {
        uint8_t bits = uint8_t(((1u << (to - from)) - 1) << from);
        if (to > cell.allocated) report("a copy out of bounds");
        if (reads && (cell.written & bits) != bits) report("a copy of memory that was never written");
    });
}

void mark_written(const void *memory, size_t size) {
    for_cells(global_space(), memory, size, [](Cell &cell, unsigned from, unsigned to) {
        cell.written |= uint8_t(((1u << (to - from)) - 1) << from);
    });
}

} // namespace emulator

// The functions that instrumented code calls.
using emulator::Access;
using emulator::check_access;

#define ACCESSES(SIZE)                                                                                                 \
    void __tsan_read##SIZE(void *at) { check_access(at, SIZE, Access::Read); }                                         \
    void __tsan_write##SIZE(void *at) { check_access(at, SIZE, Access::Write); }                                       \
    void __tsan_unaligned_read##SIZE(void *at) { check_access(at, SIZE, Access::Read); }                               \
    void __tsan_unaligned_write##SIZE(void *at) { check_access(at, SIZE, Access::Write); }                             \
    void __tsan_volatile_read##SIZE(void *at) { check_access(at, SIZE, Access::AtomicRead); }                          \
    void __tsan_volatile_write##SIZE(void *at) { check_access(at, SIZE, Access::AtomicWrite); }

extern "C" {
ACCESSES(1)
ACCESSES(2)
ACCESSES(4)
ACCESSES(8)
ACCESSES(16)
void __tsan_read_range(void *at, size_t size) { check_access(at, size, Access::Read); }
void __tsan_write_range(void *at, size_t size) { check_access(at, size, Access::Write); }
void __tsan_init() {}
void __tsan_func_entry(void *) {}
void __tsan_func_exit() {}
}
