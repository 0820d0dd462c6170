/* Has one step of a program that it is loaded into (LD_PRELOAD) fail: a call that changes what is on the
   disk, in the folder FAULT_FOLDER. FAULT_STEP is its number, from 0 on; FAULT what happens: a kill, or an
   error with nothing done or although it was done, or a disk that is full from there on. Each step is told
   on stderr. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

/* What is in front of us in the search for a symbol: the C library's own. */
#define REAL(name) __typeof__(name) *real = (__typeof__(name) *)dlsym(RTLD_NEXT, #name)

static int is_ours(const char *path) {
    const char *folder = getenv("FAULT_FOLDER");
    return folder && path && strncmp(path, folder, strlen(folder)) == 0;
}

static const char *path_of(int fd) {
    static char path[PATH_MAX];
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    path[length < 0 ? 0 : length] = 0;
    return path;
}

/* What is to happen at this step: the fault, if it is this one's turn, or "". */
static const char *step(const char *name) {
    static int number = 0;
    dprintf(STDERR_FILENO, "step %s\n", name);
    const char *fault = getenv("FAULT");
    int later = number++ - atoi(getenv("FAULT_STEP"));
    int needs_space = strcmp(name, "create") == 0 || strcmp(name, "write") == 0 || strcmp(name, "fsync") == 0;
    if (strcmp(fault, "full") == 0) return later >= 0 && needs_space ? fault : "";
    return later == 0 ? fault : "";
}

static int ends_before(const char *fault) {
    if (strcmp(fault, "kill before") == 0) raise(SIGKILL);
    if (strcmp(fault, "EIO") == 0) errno = EIO;
    else if (strcmp(fault, "ENOSPC") == 0 || strcmp(fault, "full") == 0) errno = ENOSPC;
    else return 0;
    return 1;
}

static long ends_after(const char *fault, long result) {
    if (strcmp(fault, "kill after") == 0) raise(SIGKILL);
    if (strcmp(fault, "EIO after") != 0 || result < 0) return result;
    errno = EIO;
    return -1;
}

#define FAULTY(is_this, name, call)                  \
    if (!(is_this)) return call;                     \
    const char *fault = step(name);                  \
    if (ends_before(fault)) return -1;               \
    return ends_after(fault, call)

int open64(const char *path, int flags, ...) {
    va_list more;
    va_start(more, flags);
    mode_t mode = flags & O_CREAT ? va_arg(more, mode_t) : 0;
    va_end(more);
    int (*real)(const char *, int, ...) = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, "open64");
    FAULTY(is_ours(path), flags & O_CREAT ? "create" : "open", real(path, flags, mode));
}

ssize_t write(int fd, const void *bytes, size_t count) {
    REAL(write);
    if (!is_ours(path_of(fd))) return real(fd, bytes, count);
    const char *fault = step("write");
    if (ends_before(fault)) return -1;
    if (strcmp(fault, "kill in the middle") == 0) {
        real(fd, bytes, count / 2);
        raise(SIGKILL);
    }
    return ends_after(fault, real(fd, bytes, count));
}

int fsync(int fd) { REAL(fsync); FAULTY(is_ours(path_of(fd)), "fsync", real(fd)); }
int fchmod(int fd, mode_t mode) { REAL(fchmod); FAULTY(is_ours(path_of(fd)), "fchmod", real(fd, mode)); }
int rename(const char *from, const char *to) { REAL(rename); FAULTY(is_ours(to), "rename", real(from, to)); }
int unlink(const char *path) { REAL(unlink); FAULTY(is_ours(path), "unlink", real(path)); }
int fchown(int fd, uid_t user, gid_t group) {
    REAL(fchown);
    FAULTY(is_ours(path_of(fd)), "fchown", real(fd, user, group));
}
