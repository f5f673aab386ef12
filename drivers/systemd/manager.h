/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The systemd user manager, over its private socket: what runs, and jobs. No dbus-daemon is needed,
 * and a listing is half as expensive as over the bus. Every call ends by a deadline; an answer that
 * does not come is "unknown", never "no".
 *
 * A connection that broke stays broken (manager_is_alive() says so): open another. Nothing here may
 * be called from inside a callback of the bus.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/os/paths.h"
#include "model/base/cleanup.h"
#include "model/observed.h"

typedef struct Manager Manager;

/*
 * Connects. @timeout_usec is the deadline of this and of every later call that takes none.
 * Returns 0; -ENOENT or -ECONNREFUSED: there is no user manager; -ETIMEDOUT: it does not answer (a
 * hung manager lets one connect and never says a word); another negative errno.
 */
_must_check_ int manager_open(const Paths *p, uint64_t timeout_usec, Manager **ret);
Manager *manager_free(Manager *m);
DEFINE_CLEANUP(Manager *, manager_free)

/* From now on; see manager_open(). */
void manager_set_timeout(Manager *m, uint64_t timeout_usec);

/* What the last failed call said, one sentence; "" after a success. Borrowed until the next
 * call. */
const char *manager_error(const Manager *m);

/* False once the connection broke. */
bool manager_is_alive(const Manager *m);

/* Says in @ret what a failed manager_open() means: absent, or unknown. */
void manager_open_error(int error, Source *ret);

/*
 * Fills @o->manager, ->units (of this fleet's template), ->holder, ->holder_since_usec and
 * ->controller from one listing; then asks for the details of the agents that do not plainly run,
 * or of all. Units masked on disk are in the list even when they are not loaded. @o must have no
 * units yet.
 *
 * Returns 0 also when the manager did not answer: @o->manager is then SOURCE_UNKNOWN with a
 * sentence and nothing else is filled, so there is no half list. -ENOMEM is the only error.
 */
/* Asks for the listing of the next manager_observe() already; the answer comes meanwhile. */
_must_check_ int manager_observe_begin(Manager *m, const Paths *p);

_must_check_ int manager_observe(Manager *m, const Paths *p, bool details_for_all, Observed *o);

/* Forgets the failures and start counters of the named units. Unknown units are fine. */
_must_check_ int manager_reset_failed(Manager *m, char *const *units);

/* daemon-reload: returns once it is done (deadline: 60 s). */
_must_check_ int manager_reload(Manager *m);

/* After a reload: has the kernel hold units that run to limits that changed. systemd before 256
 * does it by itself, and is asked for no more than its version. */
_must_check_ int manager_apply_limits(Manager *m);

/* Whether the manager reads units from @directory. */
_must_check_ int manager_unit_path_contains(Manager *m, const char *directory, bool *ret);

/* PATH in the manager's environment block; NULL if there is none. Caller frees. */
_must_check_ int manager_search_path(Manager *m, char **ret);

/* "252.39-1~deb12u2". Caller frees. */
_must_check_ int manager_version(Manager *m, char **ret);

/* The cgroup below which the manager makes those of its units, "/user.slice/...". Caller frees. */
_must_check_ int manager_control_group(Manager *m, char **ret);

/* The main process of a unit; 0: it has none. */
_must_check_ int manager_main_pid(Manager *m, const char *unit, pid_t *ret);

typedef enum UnitJobKind {
        JOB_START,
        JOB_STOP,
        _UNIT_JOB_KIND_MAX,
} UnitJobKind;

/* One request to start or stop a unit. The caller fills the first two. */
typedef struct UnitJob {
        char *unit;
        UnitJobKind kind;

        bool finished;
        int error;     /* 0: "done"; else a negative errno */
        char *result;  /* "done", "failed", "dependency", "timeout", "canceled", "skipped", "lost"
                          ... */
        char *message; /* sentence; NULL if done */
        uint64_t took_usec; /* from sending to the end of the job */
} UnitJob;

/* Frees what a job owns. */
void unit_job_done(UnitJob *job);

/*
 * Sends the requests; does not wait. To be called again while earlier jobs run:
 * the caller makes tmux sessions in between. @jobs is borrowed and must stay where it is until
 * manager_jobs_wait() has returned.
 */
_must_check_ int manager_jobs_submit(Manager *m, UnitJob *jobs, size_t n);

/*
 * Sends what the socket had no room for and takes in what has come, without waiting. To be called
 * between the steps of other work. That the connection broke is no error here: manager_jobs_wait()
 * settles what was submitted, so with jobs on their way a manager must not be freed before.
 */
void manager_jobs_pump(Manager *m);

/*
 * Waits until at least one more submitted job has ended, or @deadline_usec (CLOCK_MONOTONIC) has
 * come; @done (may be NULL) is called once for each that has, in that order. Returns 1 if there are
 * others on their way, 0 if not, or -ENOMEM. At 0 every job has a result: where the signal of its
 * end was lost, or the connection, or time is up, the unit's own state decides; "lost" means that
 * not even this could be read.
 */
_must_check_ int manager_jobs_wait(Manager *m,
                uint64_t deadline_usec,
                void (*done)(UnitJob *job, void *userdata),
                void *userdata);
