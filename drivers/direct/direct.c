/* SPDX-License-Identifier: MIT */
#include "drivers/direct/direct.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>

#include "drivers/agent/keeper-client.h"
#include "drivers/direct/known.h"
#include "drivers/direct/orphans.h"
#include "drivers/os/clock.h"
#include "drivers/os/file.h"
#include "drivers/os/process.h"
#include "drivers/tmux/guarded.h"
#include "drivers/store/store.h"
#include "model/base/array.h"
#include "model/base/format.h"
#include "model/base/parse.h"
#include "model/base/strv.h"

#define SERVER_TIMEOUT_USEC (15 * USEC_PER_SEC)
/* Keepers answer at once, or are stopped. */
#define QUERY_TIMEOUT_USEC (2 * USEC_PER_SEC)

/* How long a keeper that was just created may take to listen. */
#define KEEPER_PATIENCE_USEC (5 * USEC_PER_SEC)
/* The pace of asking it. */
#define AGAIN_USEC (5 * USEC_PER_MSEC)

/* One job and what its keeper is asked for. */
typedef struct Work {
        DriverJob *job; /* borrowed */
        KeeperCall call;
        bool asked;             /* the call is on its way */
        bool given;             /* its session was given a keeper: it had none */
        uint64_t again_usec;    /* an absent keeper is not asked before */
        uint64_t patience_usec; /* until then it may still come */
} Work;

struct DirectSupervisor {
        const Paths *paths;
        Work **work; /* submitted, not reported; each allocated: the batch keeps pointers */
        size_t n_work;
        KeeperBatch *batch; /* while there is work */
};

int direct_new(const Paths *paths, DirectSupervisor **ret) {
        DirectSupervisor *d = calloc(1, sizeof(DirectSupervisor));

        if (!d)
                return -ENOMEM;
        d->paths = paths;
        *ret = d;
        return 0;
}

static Work *work_free(Work *w) {
        keeper_calls_done(&w->call, 1);
        free(w);
        return NULL;
}

DirectSupervisor *direct_free(DirectSupervisor *d) {
        if (!d)
                return NULL;
        keeper_batch_free(d->batch);
        for (size_t i = 0; i < d->n_work; i++)
                work_free(d->work[i]);
        free(d->work);
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

/* --- server ----------------------------------------------------------------------------------- */

/* The variables that units carry under systemd (decision 0001), over the client's environment and
 * the PATH that all agents will have. */
static int holder_environment(const DirectSupervisor *d, const TmuxServer *tmux, char ***ret) {
        const char *path = getenv("PATH");
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
        if (r == 0 && path)
                r = strv_env_set(&env, "PATH", path);
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
        if (!process_wait_end(pidfd, clock_monotonic_usec() + SERVER_TIMEOUT_USEC)) {
                *ret_message = strdup("the tmux server did not end");
                return -ETIMEDOUT;
        }
        return 0;
}

/* --- jobs ------------------------------------------------------------------------------------- */

int direct_submit(DirectSupervisor *d, DriverJob *job) {
        Work **slot = array_grow(&d->work, d->n_work, sizeof(Work *));

        if (slot)
                *slot = calloc(1, sizeof(Work));
        if (!slot || !*slot)
                return -ENOMEM;
        **slot = (Work){
                .job = job,
                .call = {
                        .name = job->agent,
                        .request = job->kind == DRIVER_STOP ? KEEPER_ASK_STOP : KEEPER_ASK_START,
                        .stop_timeout_usec = job->stop_timeout_usec,
                },
                .patience_usec = clock_monotonic_usec() + KEEPER_PATIENCE_USEC,
        };
        d->n_work++;
        return 0;
}

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
        else
                (void)!format_text(&job->message, "its keeper: %s", strerror(-error));
}

/* Sessions that a window of somebody else's keeps although their keeper is gone get another one; in
 * vain, that shows when it is asked. 0 or -ENOMEM. */
static int add_keepers(DirectSupervisor *d, const TmuxServer *tmux, Work *const *work, size_t n) {
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
                const ObservedSession *s = observed_session(o, work[i]->job->agent);

                if (!s || s->owner != SESSION_AGENT)
                        continue;
                r = tmux_guarded_add_keeper(
                                &commands, tmux->fleet, work[i]->job->agent, s->id, keeper);
                if (r < 0)
                        return r;
        }
        r = strbuf_finish(&commands, &text);
        if (r == 0 && *text)
                r = tmux_server_run(tmux, text, NULL, NULL);
        return r == -ENOMEM ? r : 0;
}

/* Asks those that are due. When the next one will be: USEC_INFINITY if all are asked. */
static int ask(DirectSupervisor *d, uint64_t *ret_next) {
        uint64_t now = clock_monotonic_usec();

        *ret_next = USEC_INFINITY;
        for (size_t i = 0; i < d->n_work; i++) {
                Work *w = d->work[i];
                int r;

                if (w->asked)
                        continue;
                if (w->again_usec > now) {
                        *ret_next = w->again_usec < *ret_next ? w->again_usec : *ret_next;
                        continue;
                }
                r = keeper_batch_add(d->batch, &w->call);
                if (r < 0)
                        return r;
                w->asked = true;
        }
        return 0;
}

/* What the answers that have come amount to. A keeper that was made a moment ago may not listen
 * yet: one that is absent is asked again until patience ends; then its session is given a keeper,
 * once. */
static int take_answers(
                DirectSupervisor *d, const TmuxServer *tmux, bool time_is_up, uint64_t now_usec) {
        _cleanup_free_ Work **lonely = calloc(d->n_work, sizeof(Work *));
        _cleanup_free_ DriverJob **unstopped = calloc(d->n_work, sizeof(DriverJob *));
        size_t n_lonely = 0, n_unstopped = 0;
        int r;

        if (!lonely || !unstopped)
                return -ENOMEM;
        for (size_t i = 0; i < d->n_work; i++) {
                Work *w = d->work[i];
                bool late = now_usec >= w->patience_usec;

                if (!w->asked || !w->call.finished)
                        continue;
                w->asked = false;
                if (!time_is_up && w->job->kind == DRIVER_START && known_is_absent(w->call.error) &&
                                !(late && w->given)) {
                        w->again_usec = now_usec + AGAIN_USEC;
                        if (late)
                                lonely[n_lonely++] = w;
                        continue;
                }
                if (known_nothing_was_stopped(w->job->kind, &w->call))
                        unstopped[n_unstopped++] = w->job;
                conclude(w->job, &w->call);
        }
        for (size_t i = 0; i < n_lonely; i++) {
                lonely[i]->given = true;
                lonely[i]->patience_usec = now_usec + KEEPER_PATIENCE_USEC;
        }
        r = n_lonely > 0 ? add_keepers(d, tmux, lonely, n_lonely) : 0;
        return r < 0 ? r : orphans_stop(d->paths, unstopped, n_unstopped);
}

/* Reports what is finished and forgets it. Returns how many. */
static size_t report(DirectSupervisor *d, DriverJobDone done, void *userdata) {
        size_t n = 0, before = d->n_work;

        for (size_t i = 0; i < before; i++) {
                Work *w = d->work[i];

                if (!w->job->finished) {
                        d->work[n++] = w;
                        continue;
                }
                if (done)
                        done(w->job, userdata);
                work_free(w);
        }
        d->n_work = n;
        return before - n;
}

/* How it ends is not known. */
static void give_up(DirectSupervisor *d, int error) {
        if (d->batch)
                (void)keeper_batch_abandon(d->batch, error);
        for (size_t i = 0; i < d->n_work; i++) {
                DriverJob *job = d->work[i]->job;

                if (!job->finished)
                        job->error = error;
                job->finished = true;
        }
}

/* Until at least one job is finished. */
static int wait_for_one(DirectSupervisor *d,
                const TmuxServer *tmux,
                uint64_t deadline_usec,
                DriverJobDone done,
                void *userdata) {
        for (;;) {
                uint64_t next, now;
                bool time_is_up;
                int r;

                r = ask(d, &next);
                if (r < 0)
                        return r;
                next = next < deadline_usec ? next : deadline_usec;
                if (keeper_batch_wait(d->batch, next) == 0)
                        (void)poll(NULL, 0, clock_poll_msec(clock_monotonic_usec(), next));
                now = clock_monotonic_usec();
                time_is_up = now >= deadline_usec;
                if (time_is_up)
                        (void)keeper_batch_abandon(d->batch, -ETIMEDOUT);
                r = take_answers(d, tmux, time_is_up, now);
                if (r < 0)
                        return r;
                if (time_is_up)
                        give_up(d, -ETIMEDOUT); /* those that wait to be asked again */
                if (report(d, done, userdata) > 0)
                        return 0;
        }
}

int direct_wait(DirectSupervisor *d,
                const TmuxServer *tmux,
                uint64_t deadline_usec,
                DriverJobDone done,
                void *userdata) {
        int r = 0;

        if (d->n_work == 0)
                return 0;
        if (!d->batch)
                r = keeper_batch_new(d->paths->runtime, &d->batch);
        if (r == 0)
                r = wait_for_one(d, tmux, deadline_usec, done, userdata);
        if (r < 0) {
                give_up(d, r);
                (void)report(d, done, userdata);
        }
        if (d->n_work == 0)
                d->batch = keeper_batch_free(d->batch);
        return r == -ENOMEM ? r : 0;
}
