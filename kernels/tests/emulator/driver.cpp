// The part of the CUDA driver's interface that the back end calls, over the emulated device.
//
// Copies, fills and launches wait in their stream until something synchronises with it, so that a host that reads too
// early, or frees too early, is noticed. Environment: EMULATOR_SEED; EMULATOR_TRACE=1 lists the calls; EMULATOR_FAIL_AT, the number of the call (from 1)
// that fails; EMULATOR_DEVICES=0 for a driver without a device; EMULATOR_MEMORY, bytes of the device. When the process
// ends, a line says how many calls there were and what was never released.

#include "device.h"
#include "table.h"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <set>

namespace emulator {
namespace {

enum Result {
    SUCCESS = 0,
    INVALID_VALUE = 1,
    OUT_OF_MEMORY = 2,
    NO_DEVICE = 100,
    INVALID_CONTEXT = 201,
    NOT_FOUND = 500,
    LAUNCH_FAILED = 719,
};

struct Stream {
    std::deque<std::function<void()>> waiting;

    void finish() {
        while (!waiting.empty()) {
            waiting.front()();
            waiting.pop_front();
        }
    }
};

struct Event {
    Stream *recorded_in = nullptr;
};

struct Module {};

std::recursive_mutex lock;
uint64_t calls;
int contexts;
thread_local void *current_context;
char the_context;
std::set<Stream *> streams;
std::set<Event *> events;
std::set<Module *> modules;
std::set<void *> pinned, device_memory;

bool fails(const char *call) {
    ++calls;
    static bool traces = setting("EMULATOR_TRACE", 0) != 0;
    if (traces) fprintf(stderr, "emulated driver: %llu %s\n", (unsigned long long)calls, call);
    return calls == setting("EMULATOR_FAIL_AT", 0);
}

void finish_all() {
    for (Stream *stream : streams) stream->finish();
}

struct Report {
    ~Report() {
        size_t leaks = streams.size() + events.size() + modules.size() + pinned.size() + device_memory.size() +
                       size_t(contexts != 0);
        fprintf(stderr, "emulated driver: %llu calls, %zu leaks\n", (unsigned long long)calls, leaks);
    }
} at_exit;

// Every call but those that need no context begins with this.
#define CALL(NAME, NEEDS_CONTEXT)                                                                                      \
    std::lock_guard<std::recursive_mutex> guard(lock);                                                                 \
    bool call_fails = fails(NAME);                                                                                     \
    if (NEEDS_CONTEXT && current_context != &the_context) return INVALID_CONTEXT;                                      \
    if (call_fails) return LAUNCH_FAILED

// Releases happen, whatever is reported: a driver reports earlier errors there.
#define RELEASE(NAME)                                                                                                  \
    std::lock_guard<std::recursive_mutex> guard(lock);                                                                 \
    Result result = fails(NAME) ? LAUNCH_FAILED : SUCCESS;                                                             \
    if (current_context != &the_context) return INVALID_CONTEXT

} // namespace
} // namespace emulator

using namespace emulator;

extern "C" {

int cuInit(unsigned) {
    CALL("cuInit", false);
    return setting("EMULATOR_DEVICES", 1) == 0 ? NO_DEVICE : SUCCESS;
}

int cuDeviceGet(int *device, int ordinal) {
    CALL("cuDeviceGet", false);
    *device = 0;
    return ordinal == 0 ? SUCCESS : 101;
}

int cuDeviceGetName(char *name, int length, int) {
    CALL("cuDeviceGetName", false);
    snprintf(name, size_t(length), "Emulated device");
    return SUCCESS;
}

int cuDeviceGetAttribute(int *value, int attribute, int) {
    CALL("cuDeviceGetAttribute", false);
    // Compute capability 7.5.
    *value = attribute == 75 ? 7 : attribute == 76 ? 5 : 0;
    return SUCCESS;
}

int cuDevicePrimaryCtxRetain(void **context, int) {
    CALL("cuDevicePrimaryCtxRetain", false);
    ++contexts;
    *context = &the_context;
    return SUCCESS;
}

int cuDevicePrimaryCtxRelease_v2(int) {
    std::lock_guard<std::recursive_mutex> guard(lock);
    bool call_fails = fails("cuDevicePrimaryCtxRelease");
    --contexts;
    return call_fails ? LAUNCH_FAILED : SUCCESS;
}

int cuCtxSetCurrent(void *context) {
    CALL("cuCtxSetCurrent", false);
    current_context = context;
    return SUCCESS;
}

int cuMemGetInfo_v2(size_t *available, size_t *total) {
    CALL("cuMemGetInfo", true);
    *available = free_memory();
    *total = total_memory();
    return SUCCESS;
}

int cuModuleLoadData(Module **module, const void *image) {
    CALL("cuModuleLoadData", true);
    if (strstr((const char *)image, ".version") == nullptr) return 218;
    *module = new Module();
    modules.insert(*module);
    return SUCCESS;
}

int cuModuleUnload(Module *module) {
    RELEASE("cuModuleUnload");
    if (modules.erase(module) == 0) report("a module is unloaded twice");
    delete module;
    return result;
}

int cuModuleGetFunction(const Kernel **function, Module *, const char *name) {
    CALL("cuModuleGetFunction", true);
    for (const Kernel &kernel : kernels()) {
        if (strcmp(kernel.name, name) == 0) {
            *function = &kernel;
            return SUCCESS;
        }
    }
    return NOT_FOUND;
}

int cuStreamCreate(Stream **stream, unsigned) {
    CALL("cuStreamCreate", true);
    *stream = new Stream();
    streams.insert(*stream);
    return SUCCESS;
}

int cuStreamSynchronize(Stream *stream) {
    CALL("cuStreamSynchronize", true);
    stream->finish();
    return SUCCESS;
}

int cuStreamDestroy_v2(Stream *stream) {
    RELEASE("cuStreamDestroy");
    if (streams.count(stream) == 0) report("a stream is destroyed twice");
    stream->finish();
    streams.erase(stream);
    delete stream;
    return result;
}

int cuEventCreate(Event **event, unsigned) {
    CALL("cuEventCreate", true);
    *event = new Event();
    events.insert(*event);
    return SUCCESS;
}

int cuEventRecord(Event *event, Stream *stream) {
    CALL("cuEventRecord", true);
    event->recorded_in = stream;
    return SUCCESS;
}

int cuEventSynchronize(Event *event) {
    CALL("cuEventSynchronize", true);
    if (event->recorded_in && streams.count(event->recorded_in)) event->recorded_in->finish();
    return SUCCESS;
}

int cuEventDestroy_v2(Event *event) {
    RELEASE("cuEventDestroy");
    if (events.erase(event) == 0) report("an event is destroyed twice");
    delete event;
    return result;
}

int cuMemHostAlloc(void **memory, size_t size, unsigned) {
    CALL("cuMemHostAlloc", true);
    *memory = malloc(size);
    memset(*memory, 0xa5, size);
    pinned.insert(*memory);
    return SUCCESS;
}

int cuMemFreeHost(void *memory) {
    RELEASE("cuMemFreeHost");
    finish_all();
    if (pinned.erase(memory) == 0) report("pinned memory is freed twice");
    free(memory);
    return result;
}

int cuMemAlloc_v2(void **memory, size_t size) {
    CALL("cuMemAlloc", true);
    if (size == 0) return INVALID_VALUE;
    *memory = allocate(size);
    if (*memory == nullptr) return OUT_OF_MEMORY;
    device_memory.insert(*memory);
    return SUCCESS;
}

int cuMemFree_v2(void *memory) {
    RELEASE("cuMemFree");
    finish_all();
    if (device_memory.erase(memory) == 0) report("device memory is freed twice");
    release(memory);
    return result;
}

int cuMemsetD8Async(void *memory, unsigned char value, size_t size, Stream *stream) {
    CALL("cuMemsetD8Async", true);
    stream->waiting.push_back([=] {
        check_range(memory, size, false);
        memset(memory, value, size);
        mark_written(memory, size);
    });
    return SUCCESS;
}

int cuMemcpyHtoDAsync_v2(void *to, const void *from, size_t size, Stream *stream) {
    CALL("cuMemcpyHtoDAsync", true);
    stream->waiting.push_back([=] {
        check_range(to, size, false);
        memcpy(to, from, size);
        mark_written(to, size);
    });
    return SUCCESS;
}

int cuMemcpyDtoHAsync_v2(void *to, const void *from, size_t size, Stream *stream) {
    CALL("cuMemcpyDtoHAsync", true);
    stream->waiting.push_back([=] {
        check_range(from, size, true);
        memcpy(to, from, size);
    });
    return SUCCESS;
}

int cuLaunchKernel(const Kernel *kernel, unsigned blocks, unsigned, unsigned, unsigned threads, unsigned, unsigned,
                   unsigned, Stream *stream, void **arguments, void **) {
    CALL("cuLaunchKernel", true);
    if (blocks == 0 || threads == 0 || threads > 1024) return INVALID_VALUE;
    Launch launch = kernel->prepare(arguments);
    stream->waiting.push_back([=] { run(kernel->name, blocks, threads, launch); });
    return SUCCESS;
}

} // extern "C"
