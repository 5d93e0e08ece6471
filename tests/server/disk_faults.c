/*
 * Faults of the disk that a test orders: loaded before libc (ld.so(8), LD_PRELOAD), it looks into the file DISK_FAULTS at each
 * sync. The first character says what happens to files whose path has the text after it: h, the sync waits until that has
 * changed; f, it fails.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef int (*sync_function)(int);

static char fault_of(int fd) {
    char order[256], link[64], path[4096];
    const char *orders = getenv("DISK_FAULTS");
    int file = orders == NULL ? -1 : open(orders, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    ssize_t length = read(file, order, sizeof order - 1);
    close(file);
    if (length < 2) return 0;
    order[length] = 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return strstr(path, order + 1) == NULL ? 0 : order[0];
}

static int sync_with_faults(const char *name, int fd) {
    sync_function machine = (sync_function)dlsym(RTLD_NEXT, name);
    char fault;
    while ((fault = fault_of(fd)) == 'h') usleep(2000);
    if (fault == 'f') {
        errno = EIO;
        return -1;
    }
    return machine(fd);
}

int fdatasync(int fd) { return sync_with_faults("fdatasync", fd); }

int fsync(int fd) { return sync_with_faults("fsync", fd); }
