/*
 * A disk that fails on command, for a server whose data lies on one that works: loaded before libc (ld.so(8),
 * LD_PRELOAD). It stands in for write, pwrite, fallocate, fsync, fdatasync and sync_file_range on regular
 * files and directories below FAILING_DISK_UNDER, and follows the commands in the file FAILING_DISK_COMMANDS, which the
 * test changes while the server runs. Reads never fail. It can also kill the server at a certain one of these calls, or of
 * those on certain files.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { WORK = 0, FAIL = 1, FAIL_ONCE = 2 };

/* The file's content; tests/crash/disk.rs writes and reads it at these offsets. */
struct commands {
    uint8_t writes; /* FAIL: no room */
    uint8_t syncs;  /* FAIL: input/output error; FAIL_ONCE: the next one only */
    uint8_t unused[6];
    uint64_t failed_writes;
    uint64_t failed_syncs;
    int64_t calls; /* the server is killed at the call that counts this down to 0; 0: at none */
    char file[32]; /* only calls on files count whose path, followed by `$`, has this text; empty: all */
};

static struct commands none;
static volatile struct commands *commands = &none;
static const char *under = "";

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("FAILING_DISK_COMMANDS");
    const char *directory = getenv("FAILING_DISK_UNDER");
    if (path == NULL || directory == NULL) return;
    under = directory;
    int fd = open(path, O_RDWR);
    void *map = mmap(NULL, sizeof(struct commands), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (fd < 0 || map == MAP_FAILED) {
        perror("failing_disk");
        abort();
    }
    close(fd);
    commands = map;
}

/* Returns whether a file is below the directory, and its path, followed by `$`, has a text. */
static int has_path_with(int fd, const char *text) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 2);
    size_t wanted = strlen(under);
    if (length < (ssize_t)wanted || memcmp(path, under, wanted) != 0) return 0;
    memcpy(path + length, "$", 2);
    return strstr(path, text) != NULL;
}

static int concerned(int fd) {
    return has_path_with(fd, "");
}

/* Returns whether the server is to be killed at this call. */
static int is_last(int fd) {
    if (commands->calls <= 0 || !has_path_with(fd, (const char *)commands->file)) return 0;
    return __atomic_fetch_sub(&commands->calls, 1, __ATOMIC_SEQ_CST) == 1;
}

static void end(void) {
    for (;;) kill(getpid(), SIGKILL);
}

/* A write that is cut off has done a half. */
static void end_after(ssize_t written) {
    (void)written;
    end();
}

static int no_room(int fd) {
    if (commands->writes == WORK || !concerned(fd)) return 0;
    __atomic_fetch_add(&commands->failed_writes, 1, __ATOMIC_SEQ_CST);
    errno = ENOSPC;
    return 1;
}

static int no_sync(int fd) {
    if (is_last(fd)) end();
    if (commands->syncs == WORK || !concerned(fd)) return 0;
    uint8_t once = FAIL_ONCE;
    int first = __atomic_compare_exchange_n(&commands->syncs, &once, WORK, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    if (!first && commands->syncs != FAIL) return 0;
    __atomic_fetch_add(&commands->failed_syncs, 1, __ATOMIC_SEQ_CST);
    errno = EIO;
    return 1;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *bytes, size_t count) {
    if (is_last(fd)) end_after(NEXT(write)(fd, bytes, count / 2));
    return no_room(fd) ? -1 : NEXT(write)(fd, bytes, count);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t at) {
    if (is_last(fd)) end_after(NEXT(pwrite)(fd, bytes, count / 2, at));
    return no_room(fd) ? -1 : NEXT(pwrite)(fd, bytes, count, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
    if (is_last(fd)) end_after(NEXT(pwrite64)(fd, bytes, count / 2, at));
    return no_room(fd) ? -1 : NEXT(pwrite64)(fd, bytes, count, at);
}

int fallocate(int fd, int mode, off_t at, off_t count) {
    return no_room(fd) ? -1 : NEXT(fallocate)(fd, mode, at, count);
}

int fallocate64(int fd, int mode, off64_t at, off64_t count) {
    return no_room(fd) ? -1 : NEXT(fallocate64)(fd, mode, at, count);
}

int fsync(int fd) {
    return no_sync(fd) ? -1 : NEXT(fsync)(fd);
}

int fdatasync(int fd) {
    return no_sync(fd) ? -1 : NEXT(fdatasync)(fd);
}

int sync_file_range(int fd, off64_t at, off64_t count, unsigned flags) {
    return no_sync(fd) ? -1 : NEXT(sync_file_range)(fd, at, count, flags);
}
