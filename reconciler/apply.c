/* SPDX-License-Identifier: MIT */
#include "reconciler/apply.h"

#include <assert.h>
#include <string.h>

#include "drivers/os/clock.h"
#include "model/base/format.h"
#include "model/base/strv.h"

/* Sessions are made in lists of this many, while the starts of the list before are already
 * running. */
#define BATCH 64

/* Of the unit of one action. A restart goes through all of them, a start from the first to the
 * last. */
typedef enum Stage {
        STAGE_BEGIN,
        STAGE_STOPPING,
        STAGE_STOPPED,
        STAGE_CLEARED, /* what the stop left in the manager is cleared */
        STAGE_STARTING,
} Stage;

typedef struct Apply {
        const Driver *driver;
        const Desired *desired;
        const Observed *observed;
        const Plan *plan;
        const ApplyCallbacks *callbacks;
        ApplyStage stage;
        Report *report;
        DriverJob *jobs; /* one per action, for the job it runs now */
        Stage *stages;   /* how far each action's unit is */
        size_t n_flying; /* jobs on their way */
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
                (void)!format_text(&text, "%s: %s", what, strerror(-error));
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
 * failure of the fleet, and a start counter that a person's restarts filled is no crash loop. That
 * is cosmetic: the start that follows says if it stands in the way.
 */
static int clear_failures(Apply *a, const size_t *which, size_t n, bool needed) {
        _cleanup_strv_ char **agents = NULL;
        int r;

        if (n == 0)
                return 0;
        for (size_t i = 0; i < n; i++) {
                r = strv_push(&agents, action_at(a, which[i])->agent);
                if (r < 0)
                        return r;
        }
        r = a->driver->reset_failed(a->driver->world, agents);
        for (size_t i = 0; i < n && r < 0 && needed; i++) {
                _cleanup_free_ char *text = NULL;

                if (format_text(&text, "cannot clear the unit's failure: %s", strerror(-r)) < 0)
                        return -ENOMEM;
                finish(a, which[i], OUTCOME_FAILED, text);
        }
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

static int reset_failed(Apply *a, ActionKind kind, unsigned steps) {
        _cleanup_free_ size_t *which = calloc(a->plan->n_actions + 1, sizeof(size_t));

        if (!which)
                return -ENOMEM;
        return clear_failures(a, which, select_actions(a, kind, steps, which),
                        /* needed= */ steps & STEP_RESET_FAILED);
}

/* --- jobs ------------------------------------------------------------------------------------- */

static void on_job(DriverJob *job, void *userdata) {
        Apply *a = userdata;
        size_t i = (size_t)(job - a->jobs);
        ActionResult *result = a->report->results + i;

        assert(i < a->plan->n_actions && a->n_flying > 0);
        a->n_flying--;
        if (job->kind == DRIVER_STOP)
                a->stages[i] = STAGE_STOPPED;
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
                a->n_flying += r == 0;
                if (r == -ENOMEM)
                        return r;
                if (r < 0)
                        finish(a, which[k], OUTCOME_FAILED, strerror(-r));
        }
        return 0;
}

/* Until at least one more has ended. */
static int wait_some(Apply *a) {
        size_t before = a->n_flying;
        int r = a->driver->wait(a->driver->world, on_job, a);

        if (r == -ENOMEM || (r == 0 && a->n_flying < before))
                return r;
        for (size_t i = 0; i < a->plan->n_actions; i++)
                if (a->jobs[i].agent && !a->jobs[i].finished)
                        finish(a, i, OUTCOME_FAILED, "how it ended is not known");
        a->n_flying = 0;
        return 0;
}

/* Everything that was submitted: no job of ours is in flight when the lock is given back. */
static int wait_all(Apply *a) {
        int r = 0;

        while (a->n_flying > 0 && r == 0)
                r = wait_some(a);
        return r;
}

/* Begins to stop the units of an action kind, after having said that it is us. */
static int submit_stops(Apply *a, ActionKind kind) {
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
                a->stages[which[i]] = STAGE_STOPPING;
        return submit(a, which, n, DRIVER_STOP);
}

static int stop_units(Apply *a, ActionKind kind) {
        int r = submit_stops(a, kind), q = wait_all(a);

        return r < 0 ? r : q;
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
                (void)!format_text(&text, "it comes after %s, which did not start", *d);
                finish(a, i, OUTCOME_SKIPPED, text);
                return NEVER;
        }
        return READY;
}

/* After an interrupt nothing new is begun, but an agent that we stopped to start it again is
 * started. */
static bool may_start(const Apply *a, size_t i) {
        const Action *x = action_at(a, i);

        if (!x->agent || !(x->steps & STEP_START) || !is_open(a, i))
                return false;
        if (x->kind == ACTION_RESTART)
                return a->stages[i] == STAGE_CLEARED;
        return a->stages[i] == STAGE_BEGIN && !interrupted(a);
}

/* Sessions first, then the starts. */
static int start_batch(Apply *a, const size_t *which, size_t n) {
        size_t sessions[BATCH], n_sessions = 0;
        int r;

        for (size_t k = 0; k < n; k++) {
                a->stages[which[k]] = STAGE_STARTING;
                if (action_at(a, which[k])->steps & STEP_SESSION)
                        sessions[n_sessions++] = which[k];
        }
        r = run_sessions(a, sessions, n_sessions, DRIVER_SESSION);
        return r < 0 ? r : submit(a, which, n, DRIVER_START);
}

/* In batches; the sessions of the next one are made while the starts of the last run. */
static int start_ready(Apply *a, const size_t *which, size_t n) {
        int r = 0;

        for (size_t at = 0; at < n && r == 0; at += BATCH) {
                size_t batch[BATCH], size = 0;

                for (size_t k = at; k < n && k < at + BATCH; k++)
                        if (may_start(a, which[k]))
                                batch[size++] = which[k];
                r = start_batch(a, batch, size);
        }
        return r;
}

static int clear_stopped(Apply *a, size_t *which) {
        size_t n = 0;

        for (size_t i = 0; i < a->plan->n_actions; i++)
                if (a->stages[i] == STAGE_STOPPED && action_at(a, i)->kind == ACTION_RESTART &&
                                is_open(a, i)) {
                        a->stages[i] = STAGE_CLEARED;
                        which[n++] = i;
                }
        return clear_failures(a, which, n, /* needed= */ false);
}

/* Each start as soon as its agent is down and what it comes after has started: one that takes long
 * to end, or to start, holds up nobody else. */
static int start_all(Apply *a, size_t *which) {
        for (;;) {
                size_t n = 0;
                int r;

                r = clear_stopped(a, which);
                for (size_t i = 0; i < a->plan->n_actions && r == 0; i++)
                        if (may_start(a, i) && readiness(a, i) == READY)
                                which[n++] = i;
                if (n > 0)
                        r = start_ready(a, which, n);
                else if (r == 0 && a->n_flying == 0)
                        return 0;
                else if (r == 0)
                        r = wait_some(a);
                if (r < 0)
                        return r;
        }
}

/* Restarts and starts. A restart is a stop and a start, not a restart job: systemd leaves out the
 * hangup (SendSIGHUP=) in those, and a shell does not hear TERM. */
static int apply_starts(Apply *a) {
        _cleanup_free_ size_t *which = calloc(a->plan->n_actions + 1, sizeof(size_t));
        int r, q;

        if (!which)
                return -ENOMEM;
        r = submit_stops(a, ACTION_RESTART);
        if (r == 0)
                r = start_all(a, which);
        q = wait_all(a);
        return r < 0 ? r : q;
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
        return apply_starts(a);
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
        a.stages = calloc(plan->n_actions + 1, sizeof(Stage));
        if (a.jobs && a.stages)
                r = stage == APPLY_MAIN ? run(&a) : apply_stops(&a, ACTION_REMOVE);
        for (size_t i = 0; a.jobs && i < plan->n_actions; i++)
                free(a.jobs[i].message);
        free(a.jobs);
        free(a.stages);
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
