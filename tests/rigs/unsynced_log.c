/* A control for the power-cut rig: to be preloaded, it leaves the write-ahead log unsynced, as synchronous=NORMAL does,
   and syncs everything else. */
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int is_log(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path);
    return length > 4 && memcmp(path + length - 4, "-wal", 4) == 0;
}

int fdatasync(int fd) { return is_log(fd) ? 0 : syscall(SYS_fdatasync, fd); }
int fsync(int fd) { return is_log(fd) ? 0 : syscall(SYS_fsync, fd); }
