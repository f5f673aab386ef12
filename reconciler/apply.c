/* SPDX-License-Identifier: MIT */
#include "reconciler/apply.h"

#include <assert.h>
#include <string.h>

#include "drivers/os/clock.h"
#include "model/base/strv.h"

/* Sessions are made in lists of this many, while the starts of the list before are already
 * running. */
#define BATCH 64

typedef struct Apply {
        const Driver *driver;
        const Desired *desired;
        const Observed *observed;
        const Plan *plan;
        const ApplyCallbacks *callbacks;
        ApplyStage stage;
        Report *report;
        DriverJob *jobs; /* one per action, for the job it runs now */
        bool *started;   /* the action's start was begun */
        bool *stopped;   /* its stop was begun */
        uint64_t begin_usec;
} Apply;

static const Action *action_at(const Apply *a, size_t i) {
        return a->plan->actions + i;
}

static bool is_open(const Apply *a, size_t i) {
        return a->report->results[i].outcome == OUTCOME_NOT_STARTED;
}

static bool interrupted(const Apply *a) {
        return a->callbacks && a->callbacks->interrupted &&
               a->callbacks->interrupted(a->callbacks->userdata);
}

/* The last word on an action. */
static void finish(Apply *a, size_t i, Outcome outcome, const char *text) {
        ActionResult *r = a->report->results + i;

        if (!is_open(a, i))
                return;
        report_set(a->report, i, outcome, text ? "%s" : NULL, text);
        if (r->took_usec == 0)
                r->took_usec = clock_monotonic_usec() - a->begin_usec;
        if (a->callbacks && a->callbacks->done)
                a->callbacks->done(a->plan, a->report, i, a->callbacks->userdata);
}

#define ANY_KIND _ACTION_KIND_MAX

static void fail_all(Apply *a, ActionKind kind, unsigned steps, const char *what, int error) {
        for (size_t i = 0; i < a->plan->n_actions; i++) {
                const Action *x = action_at(a, i);
                _cleanup_free_ char *text = NULL;

                if (!(x->steps & steps) || !is_open(a, i) ||
                                (kind != ANY_KIND && x->kind != kind) ||
                                (x->kind == ACTION_REMOVE) != (a->stage == APPLY_REMOVALS))
                        continue;
                if (asprintf(&text, "%s: %s", what, strerror(-error)) < 0)
                        text = NULL;
                finish(a, i, OUTCOME_FAILED, text);
        }
}

/* --- files ------------------------------------------------------------------------------------ */

/* The specs of the actions with @step. */
static int collect_specs(const Apply *a, unsigned step, AgentSpec ***ret, size_t *ret_n) {
        AgentSpec **specs = calloc(a->desired->n_agents + 1, sizeof(AgentSpec *));
        size_t n = 0;

        if (!specs)
                return -ENOMEM;
        for (size_t i = 0; i < a->plan->n_actions; i++) {
                const Action *x = action_at(a, i);

                if (x->agent && x->steps & step && is_open(a, i)) {
                        specs[n] = desired_find(a->desired, x->agent);
                        n += specs[n] != NULL;
                }
        }
        *ret = specs;
        *ret_n = n;
        return 0;
}

/* What only the product's data changed has no action: its spec is written along, for the next
 * restart. */
static void add_upgraded(const Apply *a, AgentSpec **specs, size_t *n) {
        for (size_t i = 0; i < a->desired->n_agents; i++) {
                AgentSpec *s = a->desired->agents[i];
                const ObservedFiles *f = observed_files(a->observed, s->name);

                if (f && f->spec && !s->elsewhere && strcmp(f->resolved, s->resolved) != 0 &&
                                strcmp(f->restart_fingerprint, s->restart_fingerprint) == 0 &&
                                !plan_action(a->plan, s->name))
                        specs[(*n)++] = s;
        }
}

static int apply_files(Apply *a) {
        _cleanup_free_ AgentSpec **specs = NULL, **dropins = NULL;
        size_t n_specs, n_dropins;
        bool reload = false;
        int r;

        r = collect_specs(a, STEP_SPEC, &specs, &n_specs);
        if (r < 0)
                return r;
        add_upgraded(a, specs, &n_specs);
        r = a->driver->accept(a->driver->world, a->desired, specs, n_specs);
        if (r < 0)
                fail_all(a, ANY_KIND, STEP_SPEC | STEP_START, "cannot write the accepted specs", r);
        r = collect_specs(a, STEP_DROPIN, &dropins, &n_dropins);
        if (r < 0)
                return r;
        for (size_t i = 0; i < a->plan->n_actions; i++)
                reload = reload || (action_at(a, i)->steps & STEP_RELOAD && is_open(a, i));
        r = n_dropins == 0 ? 0
                           : a->driver->write_dropins(a->driver->world, dropins, n_dropins, reload);
        if (r < 0)
                fail_all(a, ANY_KIND, STEP_DROPIN, "cannot write the unit's drop-in", r);
        /* No job of ours is running yet: a reload cannot lose the end of one. */
        r = reload ? a->driver->reload(a->driver->world) : 0;
        if (r < 0)
                fail_all(a, ANY_KIND, STEP_RELOAD, "the user manager did not reload", r);
        return 0;
}

/*
 * Before a start: failures that stand in its way. After a stop of ours: how the agent took it is no
 * failure of the fleet, and a start counter that a person's restarts filled is no crash loop.
 */
static int reset_failed(Apply *a, ActionKind kind, unsigned steps) {
        _cleanup_strv_ char **agents = NULL;
        int r;

        for (size_t i = 0; i < a->plan->n_actions; i++) {
                const Action *x = action_at(a, i);

                if (!(x->steps & steps) || x->kind != kind || !is_open(a, i))
                        continue;
                r = strv_push(&agents, x->agent);
                if (r < 0)
                        return r;
        }
        if (!agents)
                return 0;
        r = a->driver->reset_failed(a->driver->world, agents);
        /* After a stop it is cosmetic: the start that follows says if it stands in the way. */
        if (r < 0 && steps & STEP_RESET_FAILED)
                fail_all(a, kind, steps, "cannot clear the unit's failure", r);
        return r == -ENOMEM ? r : 0;
}

/* The still open actions of a kind that have one of these steps. */
static size_t select_actions(const Apply *a, ActionKind kind, unsigned steps, size_t *which) {
        size_t n = 0;

        for (size_t i = 0; i < a->plan->n_actions; i++)
                if (action_at(a, i)->kind == kind && action_at(a, i)->steps & steps &&
                                is_open(a, i))
                        which[n++] = i;
        return n;
}

/* --- jobs ------------------------------------------------------------------------------------- */

static void on_job(DriverJob *job, void *userdata) {
        Apply *a = userdata;
        size_t i = (size_t)(job - a->jobs);
        ActionResult *result = a->report->results + i;

        assert(i < a->plan->n_actions);
        result->took_usec += job->took_usec;
        if (job->error < 0) {
                finish(a, i, OUTCOME_FAILED, job->message ? job->message : strerror(-job->error));
                return;
        }
        /* A start is the last step of its action; after a stop there is more to do. */
        if (job->kind == DRIVER_START)
                finish(a, i, OUTCOME_DONE, NULL);
}

/* Of a stray of which not even an accepted spec is known. */
#define STOP_TIMEOUT_USEC UINT64_C(20000000)

static uint64_t stop_timeout(const Apply *a, const char *agent) {
        const AgentSpec *spec = desired_find(a->desired, agent);
        const ObservedFiles *accepted = observed_files(a->observed, agent);

        if (spec)
                return spec->stop_timeout_usec;
        return accepted ? accepted->stop_timeout_usec : STOP_TIMEOUT_USEC;
}

static DriverJob *prepare_job(Apply *a, size_t i, DriverJobKind kind) {
        DriverJob *job = a->jobs + i;

        free(job->message);
        *job = (DriverJob){
                .kind = kind,
                .agent = action_at(a, i)->agent,
                .session_id = action_at(a, i)->session_id,
                .stop_timeout_usec = stop_timeout(a, action_at(a, i)->agent),
        };
        return job;
}

/* The session jobs of the chosen actions, in one tmux client. */
static int run_sessions(Apply *a, const size_t *which, size_t n, DriverJobKind kind) {
        _cleanup_free_ DriverJob *batch = NULL;
        int r;

        if (n == 0)
                return 0;
        batch = calloc(n, sizeof(DriverJob));
        if (!batch)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++)
                batch[i] = (DriverJob){
                        .kind = kind,
                        .agent = action_at(a, which[i])->agent,
                        .session_id = action_at(a, which[i])->session_id,
                };
        r = a->driver->sessions(a->driver->world, batch, n);
        for (size_t i = 0; i < n; i++) {
                a->report->results[which[i]].took_usec += batch[i].took_usec;
                if (r < 0 || batch[i].error < 0)
                        finish(a, which[i], OUTCOME_FAILED,
                                        batch[i].message ? batch[i].message
                                                         : strerror(r < 0 ? -r : -batch[i].error));
                free(batch[i].message);
        }
        return r == -ENOMEM ? r : 0;
}

static int submit(Apply *a, const size_t *which, size_t n, DriverJobKind kind) {
        for (size_t k = 0; k < n; k++) {
                int r;

                if (!is_open(a, which[k]))
                        continue;
                r = a->driver->submit(a->driver->world, prepare_job(a, which[k], kind), 1);
                if (r == -ENOMEM)
                        return r;
                if (r < 0)
                        finish(a, which[k], OUTCOME_FAILED, strerror(-r));
        }
        return 0;
}

/* Everything that was submitted: no job of ours is in flight when the lock is given back. */
static int wait_jobs(Apply *a) {
        int r = a->driver->wait(a->driver->world, on_job, a);

        if (r == 0 || r == -ENOMEM)
                return r;
        for (size_t i = 0; i < a->plan->n_actions; i++)
                if (a->jobs[i].agent && !a->jobs[i].finished)
                        finish(a, i, OUTCOME_FAILED, "how it ended is not known");
        return 0;
}

/* Stops the units of an action kind, after having said that it is us. */
static int stop_units(Apply *a, ActionKind kind) {
        _cleanup_free_ size_t *which = calloc(a->plan->n_actions + 1, sizeof(size_t));
        _cleanup_strv_ char **agents = NULL;
        size_t n;
        int r;

        if (!which)
                return -ENOMEM;
        n = select_actions(a, kind, STEP_STOP, which);
        if (n == 0)
                return 0;
        for (size_t i = 0; i < n; i++) {
                r = strv_push(&agents, action_at(a, which[i])->agent);
                if (r < 0)
                        return r;
        }
        r = a->driver->announce_stops(a->driver->world, a->observed, agents);
        if (r < 0) {
                fail_all(a, kind, STEP_STOP, "cannot write down that it is us who stop it", r);
                return r == -ENOMEM ? r : 0;
        }
        for (size_t i = 0; i < n; i++)
                a->stopped[which[i]] = true;
        r = submit(a, which, n, DRIVER_STOP);
        if (r < 0)
                (void)wait_jobs(a); /* what did go out */
        return r < 0 ? r : wait_jobs(a);
}

/* The first half of the restarts. A stop and a start, not a restart job: systemd leaves out the
 * hangup (SendSIGHUP=) in those, and a shell does not hear TERM. */
static int apply_restart_stops(Apply *a) {
        int r = stop_units(a, ACTION_RESTART);

        return r < 0 ? r : reset_failed(a, ACTION_RESTART, STEP_STOP);
}

/* --- starts ----------------------------------------------------------------------------------- */

static ssize_t index_of(const Apply *a, const char *agent) {
        const Action *x = plan_action(a->plan, agent);

        return x ? x - a->plan->actions : -1;
}

typedef enum Readiness {
        READY,
        NOT_YET,
        NEVER,
} Readiness;

/* May this start begin? NEVER: what it comes after failed; the result then says so. */
static Readiness readiness(Apply *a, size_t i) {
        for (char **d = action_at(a, i)->after; d && *d; d++) {
                ssize_t k = index_of(a, *d);
                Outcome o = k < 0 ? OUTCOME_DONE : a->report->results[k].outcome;
                _cleanup_free_ char *text = NULL;

                if (o == OUTCOME_NOT_STARTED)
                        return NOT_YET;
                if (o == OUTCOME_DONE)
                        continue;
                if (asprintf(&text, "it comes after %s, which did not start", *d) < 0)
                        text = NULL;
                finish(a, i, OUTCOME_SKIPPED, text);
                return NEVER;
        }
        return READY;
}

/* Sessions first, then the starts. */
static int start_batch(Apply *a, const size_t *which, size_t n) {
        size_t sessions[BATCH], n_sessions = 0;
        int r;

        for (size_t k = 0; k < n; k++) {
                a->started[which[k]] = true;
                if (action_at(a, which[k])->steps & STEP_SESSION)
                        sessions[n_sessions++] = which[k];
        }
        r = run_sessions(a, sessions, n_sessions, DRIVER_SESSION);
        return r < 0 ? r : submit(a, which, n, DRIVER_START);
}

/* After an interrupt nothing new is begun, but an agent that we stopped to start it again is
 * started. */
static bool may_start(const Apply *a, size_t i) {
        return !interrupted(a) || a->stopped[i];
}

/* Everything that is ready now, in batches; the next one is made while the starts of the last
 * run. */
static int start_ready(Apply *a, const size_t *which, size_t n) {
        int r = 0, q;

        for (size_t at = 0; at < n && r == 0; at += BATCH) {
                size_t batch[BATCH], size = 0;

                for (size_t k = at; k < n && k < at + BATCH; k++)
                        if (may_start(a, which[k]))
                                batch[size++] = which[k];
                r = start_batch(a, batch, size);
        }
        q = wait_jobs(a);
        return r < 0 ? r : q;
}

static int apply_starts(Apply *a) {
        _cleanup_free_ size_t *which = calloc(a->plan->n_actions + 1, sizeof(size_t));

        if (!which)
                return -ENOMEM;
        for (;;) {
                size_t n = 0;
                int r;

                for (size_t i = 0; i < a->plan->n_actions; i++)
                        if (action_at(a, i)->agent && action_at(a, i)->steps & STEP_START &&
                                        is_open(a, i) && !a->started[i] && may_start(a, i) &&
                                        readiness(a, i) == READY)
                                which[n++] = i;
                if (n == 0)
                        return 0;
                r = start_ready(a, which, n);
                if (r < 0)
                        return r;
        }
}

/* --- the rest --------------------------------------------------------------------------------- */

static void apply_repair(Apply *a) {
        for (size_t i = 0; i < a->plan->n_actions; i++) {
                _cleanup_free_ char *message = NULL;
                int r;

                if (action_at(a, i)->kind != ACTION_HOLDER_REPAIR)
                        continue;
                r = a->driver->repair_holder(a->driver->world, a->observed, &message);
                finish(a, i, r < 0 ? OUTCOME_FAILED : OUTCOME_DONE,
                                r == 0    ? NULL
                                : message ? message
                                          : strerror(-r));
        }
}

static int apply_holder(Apply *a) {
        for (size_t i = 0; i < a->plan->n_actions; i++) {
                _cleanup_free_ char *message = NULL;
                int r;

                if (action_at(a, i)->kind != ACTION_HOLDER_START)
                        continue;
                r = a->driver->start_holder(a->driver->world, &message);
                if (r == 0) {
                        finish(a, i, OUTCOME_DONE, NULL);
                        continue;
                }
                finish(a, i, OUTCOME_FAILED, message ? message : strerror(-r));
                for (size_t k = 0; k < a->plan->n_actions; k++)
                        if (action_at(a, k)->steps & STEP_START)
                                finish(a, k, OUTCOME_SKIPPED, "the tmux server did not start");
        }
        return 0;
}

/* Stops and removals: the unit first, so that everything the agent left behind ends with it. */
static int apply_stops(Apply *a, ActionKind kind) {
        _cleanup_free_ size_t *which = calloc(a->plan->n_actions + 1, sizeof(size_t));
        size_t n;
        int r;

        if (!which)
                return -ENOMEM;
        r = stop_units(a, kind);
        if (r < 0)
                return r;
        n = select_actions(a, kind, STEP_KILL_SESSION, which);
        r = run_sessions(a, which, n, DRIVER_KILL_SESSION);
        if (r < 0)
                return r;
        r = reset_failed(a, kind, STEP_STOP | STEP_RESET_FAILED);
        if (r < 0)
                return r;
        n = select_actions(a, kind, STEP_FILES, which);
        for (size_t i = 0; i < n; i++) {
                r = a->driver->remove_files(a->driver->world, action_at(a, which[i])->agent);
                if (r < 0)
                        finish(a, which[i], OUTCOME_FAILED, strerror(-r));
        }
        for (size_t i = 0; i < a->plan->n_actions; i++)
                if (action_at(a, i)->kind == kind)
                        finish(a, i, OUTCOME_DONE, NULL);
        return 0;
}

static int apply_renames(Apply *a) {
        _cleanup_free_ size_t *which = calloc(a->plan->n_actions + 1, sizeof(size_t));
        size_t n = 0;

        if (!which)
                return -ENOMEM;
        for (size_t i = 0; i < a->plan->n_actions; i++)
                if (action_at(a, i)->steps & STEP_RENAME && is_open(a, i))
                        which[n++] = i;
        return run_sessions(a, which, n, DRIVER_RENAME);
}

static int run(Apply *a) {
        int r;

        apply_repair(a);
        r = apply_files(a);
        if (r < 0)
                return r;
        r = reset_failed(a, ACTION_START, STEP_RESET_FAILED);
        if (r == 0)
                r = reset_failed(a, ACTION_CREATE, STEP_RESET_FAILED);
        if (r < 0)
                return r;
        r = apply_renames(a);
        if (r < 0)
                return r;
        for (size_t i = 0; i < a->plan->n_actions; i++)
                if (action_at(a, i)->kind == ACTION_UPDATE ||
                                action_at(a, i)->kind == ACTION_RELOAD)
                        finish(a, i, OUTCOME_DONE, NULL);
        if (interrupted(a))
                return 0;
        r = apply_holder(a);
        if (r < 0 || interrupted(a))
                return r;
        r = apply_stops(a, ACTION_STOP);
        if (r < 0 || interrupted(a))
                return r;
        r = apply_restart_stops(a);
        return r < 0 ? r : apply_starts(a);
}

int apply_plan(const Driver *driver,
                const Desired *desired,
                const Observed *observed,
                const Plan *plan,
                ApplyStage stage,
                const ApplyCallbacks *callbacks,
                Report *report) {
        Apply a = {
                .driver = driver,
                .desired = desired,
                .observed = observed,
                .plan = plan,
                .callbacks = callbacks,
                .stage = stage,
                .report = report,
                .begin_usec = clock_monotonic_usec(),
        };
        int r = -ENOMEM;

        a.jobs = calloc(plan->n_actions + 1, sizeof(DriverJob));
        a.started = calloc(plan->n_actions + 1, sizeof(bool));
        a.stopped = calloc(plan->n_actions + 1, sizeof(bool));
        if (a.jobs && a.started && a.stopped)
                r = stage == APPLY_MAIN ? run(&a) : apply_stops(&a, ACTION_REMOVE);
        for (size_t i = 0; a.jobs && i < plan->n_actions; i++)
                free(a.jobs[i].message);
        free(a.jobs);
        free(a.started);
        free(a.stopped);
        return r;
}

void apply_skip_removals(const Plan *plan,
                const ApplyCallbacks *callbacks,
                Report *report,
                const char *why) {
        for (size_t i = 0; i < plan->n_actions; i++) {
                if (plan->actions[i].kind != ACTION_REMOVE ||
                                report->results[i].outcome != OUTCOME_NOT_STARTED)
                        continue;
                report_set(report, i, OUTCOME_SKIPPED, "%s", why);
                if (callbacks && callbacks->done)
                        callbacks->done(plan, report, i, callbacks->userdata);
        }
}
