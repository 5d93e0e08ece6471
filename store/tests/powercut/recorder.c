/* Records what a process does to the files below one directory, so that a power cut can be played afterwards.
 *
 * Preloaded. RECORDER_ROOT is the directory, RECORDER_LOG the file to record into. A write is recorded when it is done
 * and before the caller learns of it; a sync is recorded twice, before and after, because it covers what was done
 * before it began and promises it only when it has ended. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OPENED = 1, CLOSED, WROTE, SYNC_BEGINS, SYNC_ENDS, TRUNCATED, RENAMED, UNLINKED, MADE_DIRECTORY };

struct entry {
    uint32_t operation;
    int32_t descriptor;
    uint64_t number; /* an offset, a length, a sync's id, or the flags of open */
    uint64_t bytes;  /* of payload that follows */
};

#define DESCRIPTORS 65536
static char tracked[DESCRIPTORS];
static int log_descriptor = -1;
static const char *root;
static uint64_t syncs;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static void must_write(const void *bytes, size_t length) {
    static __typeof__(&write) real;
    if (!real) real = REAL(write);
    while (length > 0) {
        ssize_t done = real(log_descriptor, bytes, length);
        if (done <= 0) abort();
        bytes = (const char *)bytes + done;
        length -= done;
    }
}

static void record(int operation, int descriptor, uint64_t number, const void *payload, size_t bytes) {
    int saved = errno;
    struct entry entry = {operation, descriptor, number, bytes};
    pthread_mutex_lock(&lock);
    must_write(&entry, sizeof entry);
    must_write(payload, bytes);
    pthread_mutex_unlock(&lock);
    errno = saved;
}

__attribute__((constructor)) static void start(void) {
    root = getenv("RECORDER_ROOT");
    const char *log = getenv("RECORDER_LOG");
    if (!root || !log) abort();
    log_descriptor = REAL(open)(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (log_descriptor < 0) abort();
}

static int below_root(const char *path) { return strncmp(path, root, strlen(root)) == 0; }
static int is_tracked(int descriptor) { return descriptor >= 0 && descriptor < DESCRIPTORS && tracked[descriptor]; }

static int opened(int descriptor, const char *path, int flags) {
    if (descriptor >= 0 && descriptor < DESCRIPTORS && below_root(path)) {
        tracked[descriptor] = 1;
        record(OPENED, descriptor, flags, path, strlen(path));
    }
    return descriptor;
}

#define MODE(flags)                          \
    mode_t mode = 0;                         \
    if ((flags) & (O_CREAT | O_TMPFILE)) {   \
        va_list list;                        \
        va_start(list, flags);               \
        mode = va_arg(list, mode_t);         \
        va_end(list);                        \
    }

int open(const char *path, int flags, ...) { MODE(flags) return opened(REAL(open)(path, flags, mode), path, flags); }
int open64(const char *path, int flags, ...) { MODE(flags) return opened(REAL(open64)(path, flags, mode), path, flags); }
int openat(int at, const char *path, int flags, ...) { MODE(flags) return opened(REAL(openat)(at, path, flags, mode), path, flags); }
int openat64(int at, const char *path, int flags, ...) { MODE(flags) return opened(REAL(openat64)(at, path, flags, mode), path, flags); }
int creat(const char *path, mode_t mode) { return opened(REAL(creat)(path, mode), path, O_CREAT | O_TRUNC | O_WRONLY); }

int close(int descriptor) {
    if (is_tracked(descriptor)) {
        tracked[descriptor] = 0;
        record(CLOSED, descriptor, 0, NULL, 0);
    }
    return REAL(close)(descriptor);
}

static ssize_t wrote(ssize_t done, int descriptor, const void *bytes, uint64_t offset) {
    if (done > 0 && is_tracked(descriptor)) record(WROTE, descriptor, offset, bytes, done);
    return done;
}

ssize_t write(int descriptor, const void *bytes, size_t length) {
    ssize_t done = REAL(write)(descriptor, bytes, length);
    if (done <= 0 || !is_tracked(descriptor)) return done;
    return wrote(done, descriptor, bytes, lseek(descriptor, 0, SEEK_CUR) - done);
}
ssize_t pwrite(int descriptor, const void *bytes, size_t length, off_t offset) {
    return wrote(REAL(pwrite)(descriptor, bytes, length, offset), descriptor, bytes, offset);
}
ssize_t pwrite64(int descriptor, const void *bytes, size_t length, off64_t offset) {
    return wrote(REAL(pwrite64)(descriptor, bytes, length, offset), descriptor, bytes, offset);
}
/* Nothing here writes vectors to its files; should that change, the recording must not go on without them. */
ssize_t writev(int descriptor, const struct iovec *parts, int count) {
    if (is_tracked(descriptor)) abort();
    return REAL(writev)(descriptor, parts, count);
}
ssize_t pwritev(int descriptor, const struct iovec *parts, int count, off_t offset) {
    if (is_tracked(descriptor)) abort();
    return REAL(pwritev)(descriptor, parts, count, offset);
}

#define SYNC(call)                                                            \
    if (!is_tracked(descriptor)) return call;                                 \
    uint64_t id = __atomic_add_fetch(&syncs, 1, __ATOMIC_SEQ_CST);            \
    record(SYNC_BEGINS, descriptor, id, NULL, 0);                             \
    int result = call;                                                        \
    if (result == 0) record(SYNC_ENDS, descriptor, id, NULL, 0);              \
    return result;

int fsync(int descriptor) { SYNC(REAL(fsync)(descriptor)) }
int fdatasync(int descriptor) { SYNC(REAL(fdatasync)(descriptor)) }
/* Promises nothing, so nothing is recorded. */
int sync_file_range(int descriptor, off64_t offset, off64_t length, unsigned flags) {
    return REAL(sync_file_range)(descriptor, offset, length, flags);
}

static int truncated(int result, int descriptor, uint64_t length) {
    if (result == 0 && is_tracked(descriptor)) record(TRUNCATED, descriptor, length, NULL, 0);
    return result;
}
int ftruncate(int descriptor, off_t length) { return truncated(REAL(ftruncate)(descriptor, length), descriptor, length); }
int ftruncate64(int descriptor, off64_t length) { return truncated(REAL(ftruncate64)(descriptor, length), descriptor, length); }

int rename(const char *from, const char *to) {
    int result = REAL(rename)(from, to);
    if (result == 0 && below_root(from)) {
        size_t first = strlen(from) + 1, second = strlen(to);
        char *both = malloc(first + second);
        memcpy(both, from, first);
        memcpy(both + first, to, second);
        record(RENAMED, -1, 0, both, first + second);
        free(both);
    }
    return result;
}

static int named(int result, int operation, const char *path) {
    if (result == 0 && below_root(path)) record(operation, -1, 0, path, strlen(path));
    return result;
}
int unlink(const char *path) { return named(REAL(unlink)(path), UNLINKED, path); }
int mkdir(const char *path, mode_t mode) { return named(REAL(mkdir)(path, mode), MADE_DIRECTORY, path); }
