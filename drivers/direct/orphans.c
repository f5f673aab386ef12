/* SPDX-License-Identifier: MIT */
#include "drivers/direct/orphans.h"

#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>

#include "drivers/os/clock.h"
#include "drivers/store/store.h"
#include "model/base/parse.h"

/* How long the kernel may take to end what was killed. */
#define KILL_TIMEOUT_USEC (5 * USEC_PER_SEC)

static void fail(DriverJob *job, int error, const char *message) {
        job->error = error;
        free(job->message);
        job->message = strdup(message);
}

typedef struct Orphan {
        DriverJob *job;
        pid_t pid;
        int pidfd; /* -1: it has ended, or was given up */
        bool killed;
        uint64_t deadline_usec; /* when it is killed, or given up */
} Orphan;

static void orphans_done(Orphan *orphans, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (orphans[i].pidfd >= 0)
                        (void)close(orphans[i].pidfd);
}

static int look_at_runs(const Paths *paths, Observed **ret) {
        _cleanup_(observed_freep) Observed *o = NULL;
        int r;

        r = observed_new(SUPERVISOR_DIRECT, &o);
        if (r == 0)
                r = store_observe(paths, o);
        if (r < 0)
                return r;
        observed_sort(o);
        *ret = TAKE_PTR(o);
        return 0;
}

/* A look that shows no run of it: there is none, or that is not known. */
static void fail_if_unknown(DriverJob *job, const Observed *o) {
        if (o->runs.state != SOURCE_PRESENT)
                fail(job, -EBADMSG, o->runs.why ? o->runs.why : "whether it runs is not known");
}

/* Opens the process of the run. One that has ended is none; what cannot be opened is not ended. */
static bool open_orphan(DriverJob *job, const ObservedRun *run, Orphan *ret) {
        *ret = (Orphan){ .job = job, .pid = run->pid, .pidfd = pidfd_open(run->pid, 0) };
        if (ret->pidfd < 0 && errno != ESRCH)
                fail(job, -errno, strerror(errno));
        return ret->pidfd >= 0;
}

/* Of these jobs, those whose agent runs all the same, with a descriptor each. Two looks with the
 * opening in between: it is the process that the run file names, and no later one of that pid. */
static int
find_orphans(const Paths *paths, DriverJob *const *jobs, size_t n, Orphan *orphans, size_t *ret_n) {
        _cleanup_(observed_freep) Observed *before = NULL, *after = NULL;
        size_t n_found = 0, n_orphans = 0;
        int r;

        r = look_at_runs(paths, &before);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                const ObservedRun *run = observed_run(before, jobs[i]->agent);

                if (!run || !run->alive)
                        fail_if_unknown(jobs[i], before);
                else if (open_orphan(jobs[i], run, orphans + n_found))
                        n_found++;
        }
        if (n_found > 0)
                r = look_at_runs(paths, &after);
        for (size_t i = 0; i < n_found; i++) {
                Orphan *orphan = orphans + i;
                const ObservedRun *run = r == 0 ? observed_run(after, orphan->job->agent) : NULL;

                if (run && run->alive && run->pid == orphan->pid) {
                        orphans[n_orphans++] = *orphan;
                        continue;
                }
                if (r == 0 && !run)
                        fail_if_unknown(orphan->job, after);
                (void)close(orphan->pidfd);
        }
        *ret_n = n_orphans;
        return r;
}

/* What systemd does with SendSIGHUP=yes, and what the keeper does. */
static void ask_to_end(Orphan *orphan) {
        static const int signals[] = { SIGTERM, SIGHUP, SIGCONT };

        for (size_t i = 0; i < ELEMENTSOF(signals); i++)
                (void)pidfd_send_signal(orphan->pidfd, signals[i], NULL, 0);
        orphan->deadline_usec = clock_monotonic_usec() + orphan->job->stop_timeout_usec;
}

static void close_orphan(Orphan *orphan) {
        (void)close(orphan->pidfd);
        orphan->pidfd = -1;
}

/* Its time is up. */
static void press(Orphan *orphan) {
        char message[80];

        if (!orphan->killed) {
                (void)pidfd_send_signal(orphan->pidfd, SIGKILL, NULL, 0);
                orphan->killed = true;
                orphan->deadline_usec = clock_monotonic_usec() + KILL_TIMEOUT_USEC;
                return;
        }
        (void)snprintf(message, sizeof(message),
                        "it has lost its keeper, and its process %d does not end",
                        (int)orphan->pid);
        fail(orphan->job, -ETIMEDOUT, message);
        close_orphan(orphan);
}

static int end_orphans(Orphan *orphans, size_t n) {
        _cleanup_free_ struct pollfd *fds = calloc(n, sizeof(struct pollfd));
        uint64_t began = clock_monotonic_usec();
        size_t n_open = n;

        if (!fds)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                ask_to_end(orphans + i);
        while (n_open > 0) {
                uint64_t now = clock_monotonic_usec(), next = UINT64_MAX;

                for (size_t i = 0; i < n; i++) {
                        Orphan *orphan = orphans + i;

                        if (orphan->pidfd >= 0 && now >= orphan->deadline_usec)
                                press(orphan);
                        if (orphan->pidfd >= 0 && orphan->deadline_usec < next)
                                next = orphan->deadline_usec;
                        fds[i] = (struct pollfd){ .fd = orphan->pidfd, .events = POLLIN };
                }
                if (next != UINT64_MAX)
                        (void)poll(fds, n, clock_poll_msec(now, next));
                n_open = 0;
                for (size_t i = 0; i < n; i++) {
                        if (orphans[i].pidfd >= 0 && fds[i].revents)
                                close_orphan(orphans + i);
                        n_open += orphans[i].pidfd >= 0;
                }
        }
        for (size_t i = 0; i < n; i++)
                orphans[i].job->took_usec += clock_monotonic_usec() - began;
        return 0;
}

int orphans_stop(const Paths *paths, DriverJob *const *jobs, size_t n) {
        _cleanup_free_ Orphan *orphans = NULL;
        size_t n_orphans = 0;
        int r;

        if (n == 0)
                return 0;
        orphans = calloc(n, sizeof(Orphan));
        if (!orphans)
                return -ENOMEM;
        r = find_orphans(paths, jobs, n, orphans, &n_orphans);
        if (r == 0 && n_orphans > 0)
                r = end_orphans(orphans, n_orphans);
        orphans_done(orphans, n_orphans);
        for (size_t i = 0; i < n && r < 0; i++)
                fail(jobs[i], r, "whether it still runs could not be found out");
        return r;
}
