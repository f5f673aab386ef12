/* SPDX-License-Identifier: MIT */
#include "drivers/os/pidwatch.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>

#include "model/base/array.h"

typedef struct Watched {
        pid_t pid;
        int fd; /* -1: it has ended */
} Watched;

struct PidWatch {
        int epoll;
        Watched *watched; /* sorted by pid */
        size_t n_watched;
};

/* Closing alone would not do: a process that was forked meanwhile has a copy of the descriptor, and
 * epoll would go on to tell of it. */
static void forget(PidWatch *w, Watched *x) {
        if (x->fd < 0)
                return;
        (void)epoll_ctl(w->epoll, EPOLL_CTL_DEL, x->fd, NULL);
        (void)close(x->fd);
        x->fd = -1;
}

PidWatch *pidwatch_free(PidWatch *w) {
        if (!w)
                return NULL;
        for (size_t i = 0; i < w->n_watched; i++)
                forget(w, w->watched + i);
        free(w->watched);
        if (w->epoll >= 0)
                (void)close(w->epoll);
        free(w);
        return NULL;
}

int pidwatch_new(PidWatch **ret) {
        PidWatch *w = calloc(1, sizeof(PidWatch));

        if (!w)
                return -ENOMEM;
        w->epoll = epoll_create1(EPOLL_CLOEXEC);
        if (w->epoll < 0) {
                int error = -errno;

                free(w);
                return error;
        }
        *ret = w;
        return 0;
}

int pidwatch_fd(const PidWatch *w) {
        return w->epoll;
}

static int compare_pids(const void *a, const void *b) {
        pid_t x = *(const pid_t *)a, y = *(const pid_t *)b;

        return (x > y) - (x < y);
}

/* Descriptors from pidfd_open(2) are CLOEXEC at birth. */
static int open_pid(PidWatch *w, pid_t pid, bool *ret_gone, int *ret) {
        int fd = pidfd_open(pid, 0);
        struct epoll_event event = { .events = EPOLLIN, .data.u64 = (uint64_t)pid };

        *ret = -1;
        if (fd < 0) {
                *ret_gone = *ret_gone || errno == ESRCH;
                return errno == ESRCH || errno == EINVAL ? 0 : -errno;
        }
        if (epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
                int error = -errno;

                (void)close(fd);
                return error;
        }
        *ret = fd;
        return 0;
}

int pidwatch_set(PidWatch *w, pid_t *pids, size_t n, bool *ret_gone) {
        Watched *next = calloc(n + 1, sizeof(Watched));
        size_t n_next = 0, old = 0;
        int result = 0;

        *ret_gone = false;
        if (!next)
                return -ENOMEM;
        if (n > 0)
                qsort(pids, n, sizeof(pid_t), compare_pids);
        for (size_t i = 0; i < n; i++) {
                Watched *x = next + n_next;

                if (pids[i] <= 0 || (i > 0 && pids[i] == pids[i - 1]))
                        continue;
                while (old < w->n_watched && w->watched[old].pid < pids[i])
                        forget(w, w->watched + old++);
                x->pid = pids[i];
                if (old < w->n_watched && w->watched[old].pid == pids[i] && w->watched[old].fd >= 0)
                        x->fd = w->watched[old++].fd;
                else {
                        int r = open_pid(w, pids[i], ret_gone, &x->fd);

                        if (r < 0)
                                result = r;
                }
                n_next++;
        }
        for (; old < w->n_watched; old++)
                forget(w, w->watched + old);
        free(w->watched);
        w->watched = next;
        w->n_watched = n_next;
        return result;
}

static Watched *find(PidWatch *w, pid_t pid) {
        for (size_t i = 0; i < w->n_watched; i++)
                if (w->watched[i].pid == pid)
                        return w->watched + i;
        return NULL;
}

bool pidwatch_take(PidWatch *w) {
        struct epoll_event events[64];
        bool any = false;
        int n;

        while ((n = epoll_wait(w->epoll, events, ELEMENTSOF(events), 0)) > 0)
                for (int i = 0; i < n; i++) {
                        Watched *x = find(w, (pid_t)events[i].data.u64);

                        any = true;
                        if (x)
                                forget(w, x);
                }
        return any;
}
