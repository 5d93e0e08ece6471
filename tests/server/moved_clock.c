/*
 * A clock of elapsed time that a test moves forward: loaded before libc (ld.so(8), LD_PRELOAD), it adds the number of
 * seconds in the file MOVED_CLOCK to CLOCK_MONOTONIC. The test changes the file while the server runs. So the windows of
 * rate limits pass at once. The wall clock stays as it is.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

typedef int (*clock_function)(clockid_t, struct timespec *);

static clock_function machine_clock;
static const uint64_t none;
static const uint64_t *seconds = &none;

__attribute__((constructor)) static void begin(void) {
    machine_clock = (clock_function)dlsym(RTLD_NEXT, "clock_gettime");
    if (machine_clock == NULL) abort();
    const char *path = getenv("MOVED_CLOCK");
    if (path == NULL) return;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    void *map = mmap(NULL, sizeof(uint64_t), PROT_READ, MAP_SHARED, fd, 0);
    if (fd < 0 || map == MAP_FAILED) {
        perror("moved_clock");
        abort();
    }
    close(fd);
    seconds = map;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    /* The loader itself may ask before the constructor ran. */
    if (machine_clock == NULL) begin();
    int outcome = machine_clock(clock, now);
    if (outcome == 0 && clock == CLOCK_MONOTONIC) now->tv_sec += (time_t)__atomic_load_n(seconds, __ATOMIC_SEQ_CST);
    return outcome;
}
