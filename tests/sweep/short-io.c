/* SPDX-License-Identifier: MIT */

/*
 * Preloaded into our programs: reads and writes move fewer bytes than were asked for, are
 * interrupted, or would block where the descriptor says that they may. All of that is allowed at
 * any time, and hardly ever happens.
 *
 *   MOSAIC_SHORT_FILE    what is told, and how it went: a file of struct told, shared by all
 *                        processes
 *
 * Left alone is what the kernel gives whole or not at all: packets, the small files of /proc, and
 * descriptors that are no files (inotify, signals).
 */

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#define EXPORT __attribute__((__visibility__("default")))

/* The layout is known to tests/integration/fleet/sweeping.py. */
struct told {
        uint32_t seed; /* 0: a byte at a time, and no errors */
        uint32_t pad;
        struct {
                uint32_t calls, shortened, interrupted, blocked;
        } of[3]; /* mosaic, mosaic-keeper, mosaic-launcher */
};

typedef enum Kind {
        KIND_WHOLE, /* left alone */
        KIND_FILE,
        KIND_STREAM, /* pipe, terminal, socket: a wait that may be interrupted */
} Kind;

static struct told *told;
static unsigned who;

static Kind kind_of(int fd) {
        struct statfs fs;
        struct stat st;
        socklen_t n = sizeof(int);
        int type;

        if (fstat(fd, &st) < 0)
                return KIND_WHOLE;
        if (S_ISREG(st.st_mode))
                return fstatfs(fd, &fs) < 0 || fs.f_type == PROC_SUPER_MAGIC ||
                                                       fs.f_type == SYSFS_MAGIC ||
                                                       fs.f_type == CGROUP_SUPER_MAGIC ||
                                                       fs.f_type == CGROUP2_SUPER_MAGIC
                                       ? KIND_WHOLE
                                       : KIND_FILE;
        if (S_ISSOCK(st.st_mode))
                return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) < 0 || type != SOCK_STREAM
                                       ? KIND_WHOLE
                                       : KIND_STREAM;
        return S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode) ? KIND_STREAM : KIND_WHOLE;
}

/* Forked processes go on from where they were; what matters is that no two calls are alike. */
static uint32_t roll(void) {
        static uint32_t state;

        if (state == 0)
                state = told->seed * 2654435761u ^ 0x9e3779b9u;
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        return state;
}

/* How many of @n bytes may be moved now; -1 with errno set: none. */
static ssize_t allowed(int fd, size_t n, bool never_waits) {
        int before = errno, flags;
        Kind kind;

        if (!told || n == 0)
                return (ssize_t)n;
        kind = kind_of(fd);
        errno = before;
        if (kind == KIND_WHOLE)
                return (ssize_t)n;
        __atomic_add_fetch(&told->of[who].calls, 1, __ATOMIC_RELAXED);
        if (told->seed == 0) {
                __atomic_add_fetch(&told->of[who].shortened, n > 1, __ATOMIC_RELAXED);
                return 1;
        }
        if (kind == KIND_STREAM && roll() % 8 == 0) {
                flags = fcntl(fd, F_GETFL);
                if (never_waits || (flags >= 0 && (flags & O_NONBLOCK) != 0)) {
                        __atomic_add_fetch(&told->of[who].blocked, 1, __ATOMIC_RELAXED);
                        errno = EAGAIN;
                } else {
                        __atomic_add_fetch(&told->of[who].interrupted, 1, __ATOMIC_RELAXED);
                        errno = EINTR;
                }
                return -1;
        }
        if (n == 1 || roll() % 2 == 0)
                return (ssize_t)n;
        __atomic_add_fetch(&told->of[who].shortened, 1, __ATOMIC_RELAXED);
        return (ssize_t)(1 + roll() % (n - 1));
}

EXPORT ssize_t read(int fd, void *to, size_t n) {
        ssize_t m = allowed(fd, n, false);

        return m < 0 ? m : syscall(SYS_read, fd, to, (size_t)m);
}

extern ssize_t __read_chk(int fd, void *to, size_t n, size_t size);

/* What read() is called where the compiler knows the size of the buffer. */
EXPORT ssize_t __read_chk(int fd, void *to, size_t n, size_t size) {
        if (n > size)
                abort();
        return read(fd, to, n);
}

EXPORT ssize_t write(int fd, const void *from, size_t n) {
        ssize_t m = allowed(fd, n, false);

        return m < 0 ? m : syscall(SYS_write, fd, from, (size_t)m);
}

EXPORT ssize_t pread64(int fd, void *to, size_t n, off64_t at) {
        ssize_t m = allowed(fd, n, false);

        return m < 0 ? m : syscall(SYS_pread64, fd, to, (size_t)m, at);
}

EXPORT ssize_t pwrite64(int fd, const void *from, size_t n, off64_t at) {
        ssize_t m = allowed(fd, n, false);

        return m < 0 ? m : syscall(SYS_pwrite64, fd, from, (size_t)m, at);
}

EXPORT ssize_t recv(int fd, void *to, size_t n, int flags) {
        ssize_t m = allowed(fd, n, (flags & MSG_DONTWAIT) != 0);

        return m < 0 ? m : syscall(SYS_recvfrom, fd, to, (size_t)m, flags, NULL, NULL);
}

EXPORT ssize_t send(int fd, const void *from, size_t n, int flags) {
        ssize_t m = allowed(fd, n, (flags & MSG_DONTWAIT) != 0);

        return m < 0 ? m : syscall(SYS_sendto, fd, from, (size_t)m, flags, NULL, 0);
}

__attribute__((__constructor__)) static void begin(void) {
        static const char *const programs[] = { "mosaic", "mosaic-keeper", "mosaic-launcher" };
        const char *path = getenv("MOSAIC_SHORT_FILE");
        int fd;

        while (who < 3 && strcmp(programs[who], program_invocation_short_name) != 0)
                who++;
        if (who == 3 || !path)
                return;
        fd = open(path, O_RDWR | O_CLOEXEC);
        if (fd < 0)
                return;
        told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (told == MAP_FAILED)
                told = NULL;
        (void)close(fd);
}
