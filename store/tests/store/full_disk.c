/* Plays a full disk: files below FULL_DISK_UNDER may take as many bytes as the number in the file FULL_DISK_QUOTA says.
 * Preloaded into a child of the test, which changes the number while it runs. A write into blocks that a file has
 * already always succeeds. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int64_t quota(void) {
    char text[32] = {0};
    FILE *file = fopen(getenv("FULL_DISK_QUOTA"), "r");
    if (!file || !fgets(text, sizeof text, file)) abort();
    fclose(file);
    return atoll(text);
}

static int64_t usage(const char *directory) {
    int64_t bytes = 0;
    DIR *listing = opendir(directory);
    if (!listing) return 0;
    for (struct dirent *entry; (entry = readdir(listing));) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        char path[4096];
        struct stat status;
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        if (lstat(path, &status)) continue;
        bytes += S_ISDIR(status.st_mode) ? usage(path) : (int64_t)status.st_blocks * 512;
    }
    closedir(listing);
    return bytes;
}

static int has_no_room(int descriptor, off64_t end, size_t length) {
    char link[64], path[4096];
    struct stat status;
    const char *under = getenv("FULL_DISK_UNDER");
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t count = readlink(link, path, sizeof path - 1);
    size_t wanted = strlen(under);
    if (count < (ssize_t)wanted || memcmp(path, under, wanted) || fstat(descriptor, &status)) return 0;
    if (end <= status.st_size && (int64_t)status.st_blocks * 512 >= status.st_size) return 0;
    return usage(under) + (int64_t)length > quota();
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define FULL (errno = ENOSPC, -1)

ssize_t write(int descriptor, const void *bytes, size_t length) {
    return has_no_room(descriptor, INT64_MAX, length) ? FULL : REAL(write)(descriptor, bytes, length);
}

ssize_t pwrite64(int descriptor, const void *bytes, size_t length, off64_t at) {
    return has_no_room(descriptor, at + length, length) ? FULL : REAL(pwrite64)(descriptor, bytes, length, at);
}
