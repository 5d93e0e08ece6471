/*
 * A wall clock that runs apart from the machine's: loaded before libc (ld.so(8), LD_PRELOAD), it adds CLOCK_OFFSET_S
 * seconds to CLOCK_REALTIME. So midnight comes at a chosen moment of the test. Clocks that only
 * measure (CLOCK_MONOTONIC) stay as they are.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>

typedef int (*clock_function)(clockid_t, struct timespec *);

static clock_function machine_clock;
static time_t offset;

__attribute__((constructor)) static void begin(void) {
    const char *text = getenv("CLOCK_OFFSET_S");
    if (text != NULL) offset = (time_t)strtoll(text, NULL, 10);
    machine_clock = (clock_function)dlsym(RTLD_NEXT, "clock_gettime");
    if (machine_clock == NULL) abort();
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    /* The loader itself may ask before the constructor ran. */
    if (machine_clock == NULL) begin();
    int outcome = machine_clock(clock, now);
    if (outcome == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += offset;
    return outcome;
}
