/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Cleanup attributes: every local that owns something carries one and starts empty; ownership
 * leaves a function only through TAKE_PTR() and TAKE_FD().
 */

#include <dirent.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define _cleanup_(f) __attribute__((__cleanup__(f)))
#define _printf_(a, b) __attribute__((__format__(__printf__, a, b)))
#define _must_check_ __attribute__((__warn_unused_result__))
#define _unused_ __attribute__((__unused__))

#define ELEMENTSOF(x) (sizeof(x) / sizeof((x)[0]))

/* Defines the cleanup function `name_freep()` for a pointer type with a NULL-safe free function. */
#define DEFINE_CLEANUP(type, free_func)                                                            \
        static inline void free_func##p(type *p) {                                                 \
                if (*p)                                                                            \
                        (void)free_func(*p);                                                       \
        }

/* Gives the pointer away: returns it and leaves NULL behind. */
#define TAKE_PTR(ptr)                                                                              \
        ({                                                                                         \
                __typeof__(ptr) *_pp = &(ptr);                                                     \
                __typeof__(ptr) _p = *_pp;                                                         \
                *_pp = NULL;                                                                       \
                _p;                                                                                \
        })

/* Gives the file descriptor away: returns it and leaves -1 behind. */
#define TAKE_FD(fd)                                                                                \
        ({                                                                                         \
                int *_fp = &(fd);                                                                  \
                int _f = *_fp;                                                                     \
                *_fp = -1;                                                                         \
                _f;                                                                                \
        })

static inline void cleanup_free(void *p) {
        void **pp = p;

        free(*pp);
}

static inline void cleanup_close(int *fd) {
        if (*fd >= 0) {
                int saved = errno;

                (void)close(*fd); /* nothing sensible can be done about an error here */
                errno = saved;
        }
}

static inline void cleanup_fclose(FILE **f) {
        if (*f)
                (void)fclose(*f);
}

static inline void cleanup_closedir(DIR **d) {
        if (*d)
                (void)closedir(*d);
}

#define _cleanup_free_ _cleanup_(cleanup_free)
#define _cleanup_close_ _cleanup_(cleanup_close)
#define _cleanup_fclose_ _cleanup_(cleanup_fclose)
#define _cleanup_closedir_ _cleanup_(cleanup_closedir)
