/* SPDX-License-Identifier: MIT */

/*
 * Preloaded into a program: counts its allocations and makes one of them fail, or all from one on.
 * What the C library allocates for others (strdup, asprintf, opendir ...) comes through here as
 * well, and so does every library.
 *
 *   MOSAIC_FAIL_PROGRAM  the name of the program that is meant; all others are left alone
 *   MOSAIC_FAIL_FILE     what is told, and how it went: a file of struct told, shared by all
 * processes
 *
 * A shared page and not a line at the end, because a process that is killed, or ends by _exit(),
 * says nothing.
 */

#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXPORT __attribute__((__visibility__("default")))
#define SITES_MAX (1u << 18)
#define FRAMES_MAX 40

enum { WHERE_FIRST = 1, WHERE_FORKS = 2 };

/* The layout is known to tests/integration/fleet/sweeping.py. */
struct told {
        uint32_t at;         /* the allocation that fails, from 1; 0: none */
        uint32_t from;       /* and all behind it */
        uint32_t where;      /* in the process that was started, in those it forks, or both */
        uint32_t want_sites; /* note where each allocation comes from */

        uint32_t count;
        uint32_t n_failed;
        uint32_t signal; /* that the process died of */
        uint32_t pad;
        char failed_at[4096]; /* "OBJECT OFFSET" a line */
        char died_at[4096];
        uint32_t sites[SITES_MAX]; /* a hash of the call stack of each */
};

extern void *__libc_malloc(size_t n);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t n);
extern void *__libc_memalign(size_t alignment, size_t n);

static struct told *told;
static bool forked;
static __thread bool inside;

static void write_stack(char *to, size_t size) {
        void *frames[FRAMES_MAX];
        int n = backtrace(frames, FRAMES_MAX);
        size_t used = 0;

        for (int i = 2; i < n && used + 1 < size; i++) {
                Dl_info info = { 0 };
                const char *name;
                int w;

                if (!dladdr(frames[i], &info) || !info.dli_fname)
                        continue;
                name = strrchr(info.dli_fname, '/');
                w = snprintf(to + used, size - used, "%s %#zx\n", name ? name + 1 : info.dli_fname,
                                (size_t)((char *)frames[i] - (char *)info.dli_fbase));
                used += w > 0 ? (size_t)w : 0;
        }
}

static uint32_t hash_stack(void) {
        void *frames[FRAMES_MAX];
        int n = backtrace(frames, FRAMES_MAX);
        uint32_t h = 2166136261u;

        for (int i = 2; i < n; i++)
                h = (h ^ (uint32_t)((uintptr_t)frames[i] >> 1)) * 16777619u;
        return h;
}

static bool fails(void) {
        uint32_t n;
        bool fail;

        if (!told || inside || !(told->where & (forked ? WHERE_FORKS : WHERE_FIRST)))
                return false;
        inside = true;
        n = __atomic_add_fetch(&told->count, 1, __ATOMIC_SEQ_CST);
        fail = told->at != 0 && (n == told->at || (told->from && n > told->at));
        if (told->want_sites && n <= SITES_MAX)
                told->sites[n - 1] = hash_stack();
        if (fail && __atomic_fetch_add(&told->n_failed, 1, __ATOMIC_SEQ_CST) == 0)
                write_stack(told->failed_at, sizeof(told->failed_at));
        inside = false;
        if (fail)
                errno = ENOMEM;
        return fail;
}

EXPORT void *malloc(size_t n) {
        return fails() ? NULL : __libc_malloc(n);
}

EXPORT void *calloc(size_t n, size_t size) {
        return fails() ? NULL : __libc_calloc(n, size);
}

EXPORT void *realloc(void *p, size_t n) {
        return n > 0 && fails() ? NULL : __libc_realloc(p, n);
}

EXPORT void *memalign(size_t alignment, size_t n) {
        return fails() ? NULL : __libc_memalign(alignment, n);
}

EXPORT void *aligned_alloc(size_t alignment, size_t n) {
        return memalign(alignment, n);
}

EXPORT int posix_memalign(void **ret, size_t alignment, size_t n) {
        void *p = memalign(alignment, n);

        if (!p)
                return ENOMEM;
        *ret = p;
        return 0;
}

static void on_death(int number) {
        inside = true;
        told->signal = (uint32_t)number;
        write_stack(told->died_at, sizeof(told->died_at));
        (void)raise(number); /* SA_RESETHAND: this time it ends the process */
}

static void on_fork(void) {
        forked = true;
}

__attribute__((__constructor__)) static void begin(void) {
        static const int deaths[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT };
        struct sigaction action = { .sa_handler = on_death, .sa_flags = (int)SA_RESETHAND };
        const char *program = getenv("MOSAIC_FAIL_PROGRAM"), *path = getenv("MOSAIC_FAIL_FILE");
        void *frames[2];
        int fd;

        if (!program || !path || strcmp(program, program_invocation_short_name) != 0)
                return;
        /* Its children may have an allocator of their own, whose free() knows nothing of these. */
        (void)unsetenv("LD_PRELOAD");
        fd = open(path, O_RDWR | O_CLOEXEC);
        if (fd < 0)
                return;
        (void)backtrace(frames, 2); /* loads what it needs, now and not in the middle of it */
        (void)pthread_atfork(NULL, NULL, on_fork);
        for (size_t i = 0; i < sizeof(deaths) / sizeof(deaths[0]); i++)
                (void)sigaction(deaths[i], &action, NULL);
        told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (told == MAP_FAILED)
                told = NULL;
        (void)close(fd);
}
