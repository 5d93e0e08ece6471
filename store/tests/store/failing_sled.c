/* While the file named by FAIL_WHEN exists, every write to sled's log fails. Preloaded into a child of the test. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

ssize_t pwrite64(int descriptor, const void *bytes, size_t length, off64_t offset) {
    static __typeof__(&pwrite64) real;
    if (!real) real = (__typeof__(&pwrite64))dlsym(RTLD_NEXT, "pwrite64");
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t count = readlink(link, path, sizeof path - 1);
    const char *trigger = getenv("FAIL_WHEN");
    if (count > 8 && trigger && memcmp(path + count - 8, "/sled/db", 8) == 0 && access(trigger, F_OK) == 0) {
        errno = EIO;
        return -1;
    }
    return real(descriptor, bytes, length, offset);
}
