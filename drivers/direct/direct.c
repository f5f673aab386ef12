/* SPDX-License-Identifier: MIT */
#include "drivers/direct/direct.h"

#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <time.h>

#include "drivers/agent/keeper-client.h"
#include "drivers/direct/known.h"
#include "drivers/os/clock.h"
#include "drivers/os/file.h"
#include "drivers/os/process.h"
#include "drivers/tmux/guarded.h"
#include "drivers/store/store.h"
#include "model/base/array.h"
#include "model/base/parse.h"
#include "model/base/strv.h"

#define SERVER_TIMEOUT_USEC (15 * USEC_PER_SEC)
/* Keepers answer at once, or are stopped. */
#define QUERY_TIMEOUT_USEC (2 * USEC_PER_SEC)
#define STEP_MSEC 5

/* How long the kernel may take to end what was killed. */
#define KILL_TIMEOUT_USEC (5 * USEC_PER_SEC)

/* How long a keeper that was just created may take to listen. */
#define KEEPER_PATIENCE_USEC (5 * USEC_PER_SEC)

struct DirectSupervisor {
        const Paths *paths;
        DriverJob **jobs; /* submitted, borrowed */
        size_t n_jobs;
};

int direct_new(const Paths *paths, DirectSupervisor **ret) {
        DirectSupervisor *d = calloc(1, sizeof(DirectSupervisor));

        if (!d)
                return -ENOMEM;
        d->paths = paths;
        *ret = d;
        return 0;
}

DirectSupervisor *direct_free(DirectSupervisor *d) {
        if (d)
                free(d->jobs);
        free(d);
        return NULL;
}

/* --- what keepers know ------------------------------------------------------------------------ */

int direct_observe(const DirectSupervisor *d, Observed *o) {
        _cleanup_free_ KeeperCall *calls = calloc(o->n_sessions + 1, sizeof(KeeperCall));
        size_t n = 0;
        int r;

        if (!calls)
                return -ENOMEM;
        for (size_t i = 0; i < o->n_sessions; i++)
                if (known_needs_query(o, i))
                        calls[n++] = (KeeperCall){
                                .name = o->sessions[i].agent,
                                .request = KEEPER_ASK_QUERY,
                        };
        r = keeper_call_many(d->paths->runtime, calls, n, QUERY_TIMEOUT_USEC);
        for (size_t i = 0; i < n && r == 0; i++)
                r = known_add_unit(o, calls + i);
        keeper_calls_done(calls, n);
        return r;
}

static void pause_a_moment(void) {
        const struct timespec step = { .tv_nsec = STEP_MSEC * 1000000L };

        (void)nanosleep(&step, NULL);
}

static int msec_until(uint64_t now_usec, uint64_t deadline_usec) {
        uint64_t msec = (deadline_usec - now_usec + USEC_PER_MSEC - 1) / USEC_PER_MSEC;

        return msec > INT_MAX ? INT_MAX : (int)msec;
}

/* --- server ----------------------------------------------------------------------------------- */

/* The variables that units carry under systemd (decision 0001), over the client's environment. */
static int holder_environment(const DirectSupervisor *d, const TmuxServer *tmux, char ***ret) {
        const char *const variables[][2] = {
                { "MOSAIC_HOME", d->paths->home },
                { "MOSAIC_STATE_DIR", d->paths->state },
                { "MOSAIC_RUNTIME_DIR", d->paths->runtime },
                { "MOSAIC_LIBEXEC_DIR", d->paths->libexec },
                { "MOSAIC_FLEET", d->paths->id_or_default },
        };
        _cleanup_strv_ char **env = NULL;
        int r;

        r = strv_copy(tmux->env, &env);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(variables); i++) {
                r = strv_env_set(&env, variables[i][0], variables[i][1]);
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(env);
        return 0;
}

int direct_start_server(DirectSupervisor *d, const TmuxServer *tmux, char **ret_message) {
        _cleanup_process_result_ ProcessResult result = PROCESS_RESULT_NULL;
        _cleanup_free_ char *launcher = NULL;
        _cleanup_strv_ char **env = NULL;
        char holder[] = "--holder";
        ProcessRequest request;
        int r;

        r = path_join(d->paths->libexec, "mosaic-launcher", &launcher);
        if (r < 0)
                return r;
        r = holder_environment(d, tmux, &env);
        if (r < 0)
                return r;
        r = dir_make(d->paths->runtime);
        if (r < 0)
                return r;
        request = (ProcessRequest){
                .argv = (char *const[]){ launcher, holder, NULL },
                .env = env,
                .output_max = 65536,
                .timeout_usec = SERVER_TIMEOUT_USEC,
        };
        r = process_run(&request, &result);
        if (r < 0)
                return r;
        if (result.status != 0) {
                result.errors[strcspn(result.errors, "\n")] = '\0';
                *ret_message = strdup(
                                *result.errors ? result.errors : "the tmux server did not start");
                return -EIO;
        }
        return 0;
}

/* Whether the process has ended by the deadline, however many signals come in between. */
static bool has_ended(int pidfd, uint64_t deadline_usec) {
        for (;;) {
                struct pollfd wait = { .fd = pidfd, .events = POLLIN };
                uint64_t now = clock_monotonic_usec();
                int left = now < deadline_usec ? msec_until(now, deadline_usec) : 0;

                if (poll(&wait, 1, left) > 0)
                        return true;
                if (left == 0)
                        return false;
        }
}

int direct_stop_server(DirectSupervisor *d _unused_, const TmuxServer *tmux, char **ret_message) {
        _cleanup_close_ int pidfd = -1;
        pid_t pid;
        int r;

        r = tmux_server_pid(tmux, &pid);
        if (r == -ENOENT || r == -ECONNREFUSED)
                return 0;
        if (r == -ETIMEDOUT)
                *ret_message = strdup("the tmux server does not answer");
        if (r < 0)
                return r;
        pidfd = pidfd_open(pid, 0);
        if (pidfd < 0)
                return errno == ESRCH ? 0 : -errno;
        r = tmux_server_run(tmux, "kill-server\n", NULL, NULL);
        if (r == -ENOMEM)
                return r;
        /* A socket that is gone is not yet a server that is gone, and a new one would race with
         * it. */
        if (!has_ended(pidfd, clock_monotonic_usec() + SERVER_TIMEOUT_USEC)) {
                *ret_message = strdup("the tmux server did not end");
                return -ETIMEDOUT;
        }
        return 0;
}

/* --- jobs ------------------------------------------------------------------------------------- */

int direct_submit(DirectSupervisor *d, DriverJob *job) {
        DriverJob **slot = array_grow(&d->jobs, d->n_jobs, sizeof(DriverJob *));

        if (!slot)
                return -ENOMEM;
        *slot = job;
        d->n_jobs++;
        return 0;
}

static void fail(DriverJob *job, int error, const char *message) {
        job->error = error;
        free(job->message);
        job->message = strdup(message);
}

/* --- agents without their keeper -----------------------------------------------------------------
 *
 * A keeper that was killed takes its pane along, and the agent gets a hangup; one that does not
 * heed it lives on, known by its run file only. To stop such an agent is to end that process.
 */

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

static int look_at_runs(const DirectSupervisor *d, Observed **ret) {
        _cleanup_(observed_freep) Observed *o = NULL;
        int r;

        r = observed_new(SUPERVISOR_DIRECT, &o);
        if (r == 0)
                r = store_observe(d->paths, o);
        if (r < 0)
                return r;
        observed_sort(o);
        *ret = TAKE_PTR(o);
        return 0;
}

/* Of these jobs, those whose agent runs all the same, with a descriptor each. Two looks with the
 * opening in between: it is the process that the run file names, and no later one of that pid. */
static int find_orphans(const DirectSupervisor *d,
                DriverJob **jobs,
                size_t n,
                Orphan *orphans,
                size_t *ret_n) {
        _cleanup_(observed_freep) Observed *before = NULL, *after = NULL;
        size_t n_found = 0, n_orphans = 0;
        int r;

        r = look_at_runs(d, &before);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                const ObservedRun *run = observed_run(before, jobs[i]->agent);

                if (run && run->alive)
                        orphans[n_found++] = (Orphan){
                                .job = jobs[i],
                                .pid = run->pid,
                                .pidfd = pidfd_open(run->pid, 0),
                        };
                else if (before->runs.state != SOURCE_PRESENT)
                        fail(jobs[i], -EBADMSG,
                                        before->runs.why ? before->runs.why
                                                         : "whether it runs is not known");
        }
        if (n_found > 0)
                r = look_at_runs(d, &after);
        for (size_t i = 0; i < n_found; i++) {
                Orphan *orphan = orphans + i;
                const ObservedRun *run = r == 0 ? observed_run(after, orphan->job->agent) : NULL;

                if (run && run->alive && run->pid == orphan->pid && orphan->pidfd >= 0)
                        orphans[n_orphans++] = *orphan;
                else if (orphan->pidfd >= 0)
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
                        (void)poll(fds, n, next > now ? msec_until(now, next) : 0);
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

/* Stops whose keeper had nothing to stop: none there, or none that knows of an agent. */
static int stop_orphans(const DirectSupervisor *d, DriverJob **jobs, size_t n) {
        _cleanup_free_ Orphan *orphans = NULL;
        size_t n_orphans = 0;
        int r;

        if (n == 0)
                return 0;
        orphans = calloc(n, sizeof(Orphan));
        if (!orphans)
                return -ENOMEM;
        r = find_orphans(d, jobs, n, orphans, &n_orphans);
        if (r == 0 && n_orphans > 0)
                r = end_orphans(orphans, n_orphans);
        orphans_done(orphans, n_orphans);
        for (size_t i = 0; i < n && r < 0; i++)
                fail(jobs[i], r, "whether it still runs could not be found out");
        return r;
}

/* --- agents and their keepers ----------------------------------------------------------------- */

/* What became of a call becomes what became of the job. */
static void conclude(DriverJob *job, const KeeperCall *c) {
        int error = known_nothing_was_stopped(job->kind, c) ? 0 : c->error;

        job->finished = true;
        job->took_usec += c->took_usec;
        job->error = error;
        if (error == 0)
                return;
        if (c->text)
                job->message = strdup(c->text);
        else if (known_is_absent(error))
                job->message = strdup("its session has no keeper");
        else if (asprintf(&job->message, "its keeper: %s", strerror(-error)) < 0)
                job->message = NULL;
}

/* One request to the keepers of all these jobs. With @last, an absent keeper is final. Returns how
 * many are still open, or -ENOMEM. */
static ssize_t ask(DirectSupervisor *d, DriverJob **jobs, size_t n, uint64_t deadline, bool last) {
        uint64_t now = clock_monotonic_usec();
        _cleanup_free_ DriverJob **unstopped = calloc(n, sizeof(DriverJob *));
        KeeperCall *calls = calloc(n, sizeof(KeeperCall));
        size_t n_open = 0, n_unstopped = 0;
        int r;

        if (!calls || !unstopped) {
                free(calls);
                return -ENOMEM;
        }
        for (size_t i = 0; i < n; i++)
                calls[i] = (KeeperCall){
                        .name = jobs[i]->agent,
                        .request = jobs[i]->kind == DRIVER_STOP ? KEEPER_ASK_STOP
                                                                : KEEPER_ASK_START,
                        .stop_timeout_usec = jobs[i]->stop_timeout_usec,
                };
        r = keeper_call_many(d->paths->runtime, calls, n, deadline > now ? deadline - now : 1);
        for (size_t i = 0; i < n && r == 0; i++) {
                DriverJob *job = jobs[i];

                if (!last && job->kind == DRIVER_START && known_is_absent(calls[i].error)) {
                        jobs[n_open++] = job;
                        continue;
                }
                if (known_nothing_was_stopped(job->kind, calls + i))
                        unstopped[n_unstopped++] = job;
                conclude(job, calls + i);
        }
        keeper_calls_done(calls, n);
        free(calls);
        if (r == 0)
                r = stop_orphans(d, unstopped, n_unstopped);
        return r < 0 ? r : (ssize_t)n_open;
}

/* Sessions that a window of somebody else's keeps although their keeper is gone get another one; in
 * vain, that shows when it is asked. 0 or -ENOMEM. */
static int add_keepers(DirectSupervisor *d, const TmuxServer *tmux, DriverJob **jobs, size_t n) {
        _cleanup_(tmux_listing_freep) TmuxListing *listing = NULL;
        _cleanup_(observed_freep) Observed *o = NULL;
        _cleanup_strbuf_ StrBuf commands = STRBUF_NULL;
        _cleanup_free_ char *keeper = NULL, *text = NULL;
        int r;

        r = path_join(d->paths->libexec, "mosaic-keeper", &keeper);
        if (r == 0)
                r = observed_new(SUPERVISOR_DIRECT, &o);
        if (r == 0)
                r = tmux_listing_begin(tmux, &listing);
        if (r == 0)
                r = tmux_listing_end(listing, o);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                const ObservedSession *s = observed_session(o, jobs[i]->agent);

                if (!s || s->owner != SESSION_AGENT)
                        continue;
                r = tmux_guarded_add_keeper(&commands, tmux->fleet, jobs[i]->agent, s->id, keeper);
                if (r < 0)
                        return r;
        }
        r = strbuf_finish(&commands, &text);
        if (r == 0 && *text)
                r = tmux_server_run(tmux, text, NULL, NULL);
        return r == -ENOMEM ? r : 0;
}

/* All the stops, or all the starts. A keeper that was made a moment ago may not listen yet: those
 * that are absent are asked again, together, until patience ends; then they are given a keeper,
 * once. */
static int
phase(DirectSupervisor *d, const TmuxServer *tmux, DriverJobKind kind, uint64_t deadline) {
        uint64_t patience = clock_monotonic_usec() + KEEPER_PATIENCE_USEC;
        _cleanup_free_ DriverJob **jobs = calloc(d->n_jobs, sizeof(DriverJob *));
        bool added = false;
        size_t n = 0;

        if (!jobs)
                return -ENOMEM;
        for (size_t i = 0; i < d->n_jobs; i++)
                if (d->jobs[i]->kind == kind)
                        jobs[n++] = d->jobs[i];
        while (n > 0) {
                bool late = clock_monotonic_usec() >= patience;
                ssize_t open = ask(d, jobs, n, deadline, late && added);

                if (open < 0)
                        return (int)open;
                n = (size_t)open;
                if (n > 0 && late) {
                        int r = add_keepers(d, tmux, jobs, n);

                        if (r < 0)
                                return r;
                        added = true;
                        patience = clock_monotonic_usec() + KEEPER_PATIENCE_USEC;
                }
                if (n > 0)
                        pause_a_moment();
        }
        return 0;
}

int direct_wait(DirectSupervisor *d,
                const TmuxServer *tmux,
                uint64_t deadline_usec,
                DriverJobDone done,
                void *userdata) {
        int r;

        if (d->n_jobs == 0)
                return 0;
        r = phase(d, tmux, DRIVER_STOP, deadline_usec);
        if (r == 0)
                r = phase(d, tmux, DRIVER_START, deadline_usec);
        for (size_t i = 0; i < d->n_jobs; i++) {
                if (!d->jobs[i]->finished)
                        d->jobs[i]->error = r < 0 ? r : -ECANCELED;
                d->jobs[i]->finished = true;
                if (done)
                        done(d->jobs[i], userdata);
        }
        free(d->jobs);
        d->jobs = NULL;
        d->n_jobs = 0;
        return r == -ENOMEM ? r : 0;
}
