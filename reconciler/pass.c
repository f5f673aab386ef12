/* SPDX-License-Identifier: MIT */
#include "reconciler/pass.h"

#include <string.h>

#include "drivers/machine/site-facts.h"
#include "drivers/os/clock.h"
#include "drivers/os/roster-file.h"
#include "drivers/os/site-check.h"
#include "drivers/store/roster-record.h"
#include "framework/assets.h"
#include "model/base/array.h"
#include "model/base/format.h"
#include "model/base/parse.h"
#include "model/roster.h"
#include "reconciler/busy.h"

/* How long states that pass by themselves are waited for after an apply, and how often is
 * looked. */
#define SETTLE_USEC (8 * USEC_PER_SEC)
#define SETTLE_STEP_USEC (100 * USEC_PER_MSEC)
/* What was started and ends sooner is not done: a program that is missing a file, a shell with a
 * wrong word. Longer would be felt by who waits at the terminal. */
#define PROOF_USEC (100 * USEC_PER_MSEC)

void pass_done(Pass *p) {
        free(p->roster_bytes);
        free(p->search_path);
        diags_done(&p->diags);
        desired_free(p->desired);
        observed_free(p->first);
        observed_free(p->observed);
        plan_free(p->plan);
        report_free(p->report);
        plan_free(p->rest);
        *p = PASS_NULL;
}

int pass_builtin_runtimes(RosterSource **ret, size_t *ret_n) {
        static const char prefix[] = "fleet/runtimes/";
        _cleanup_free_ RosterSource *list = NULL;
        size_t n = 0;

        for (size_t i = 0; i < n_assets; i++) {
                RosterSource *s;

                if (strncmp(assets[i].path, prefix, sizeof(prefix) - 1) != 0)
                        continue;
                s = array_grow(&list, n, sizeof(RosterSource));
                if (!s)
                        return -ENOMEM;
                n++;
                s->name = assets[i].path;
                s->bytes = (const char *)assets[i].bytes;
                s->size = assets[i].size;
        }
        *ret = TAKE_PTR(list);
        *ret_n = n;
        return 0;
}

/* A path that no socket can have would fail every verb with a bare errno. */
static int check_socket(Context *c, Pass *p) {
        _cleanup_free_ char *socket = NULL;
        int r;

        r = fleet_record_socket(c->record, c->paths, p->desired, &socket);
        if (r != -ENAMETOOLONG)
                return r;
        (void)diags_add(&p->diags, SEVERITY_ERROR, "socket-path-too-long",
                        desired_place(p->desired, "/tmux/socket"), "/tmux/socket",
                        "write a shorter name", "the path of this socket below %s is too long",
                        c->record->tmux_tmpdir);
        return 0;
}

int pass_begin(Context *c, Pass *p) {
        int r;

        if (!c->driver.begin)
                return 0;
        r = c->driver.begin(c->driver.world, &p->search_path);
        p->has_begun = r == 0;
        return r;
}

int pass_load(Context *c, Pass *p) {
        int r;

        r = roster_file_read(c->paths->roster, &p->diags, &p->roster_bytes, &p->roster_size);
        if (r < 0)
                return r;
        return r > 0 ? EXIT_INVALID : pass_resolve(c, p);
}

int pass_load_accepted(Context *c, Pass *p) {
        _cleanup_(roster_record_done) RosterRecord record = { 0 };
        int r;

        r = roster_record_read(c->paths, &record);
        if (r < 0)
                return r;
        pass_done(p);
        p->roster_bytes = TAKE_PTR(record.bytes);
        p->roster_size = record.size;
        return pass_resolve(c, p);
}

int pass_accept_roster(Context *c, const Pass *p, uint64_t *ret_generation) {
        return roster_record_write(c->paths, p->roster_bytes, p->roster_size, ret_generation);
}

int pass_resolve(Context *c, Pass *p) {
        _cleanup_(site_facts_done) SiteFacts facts = { 0 };
        _cleanup_free_ RosterSource *runtimes = NULL;
        RosterSource roster;
        size_t n_runtimes;
        bool asks;
        int r;

        r = pass_builtin_runtimes(&runtimes, &n_runtimes);
        if (r < 0)
                return r;
        /* PATH is what the user manager is asked for. */
        asks = !p->offline && !p->has_begun;
        r = site_facts_read(c->paths, asks ? c->record->supervisor : SUPERVISOR_DIRECT, &facts);
        if (r == 0 && p->search_path)
                r = site_facts_set_path(&facts, p->search_path);
        if (r < 0)
                return r;
        roster = (RosterSource){
                .name = c->paths->roster,
                .bytes = p->roster_bytes,
                .size = p->roster_size,
        };
        r = roster_load(&roster, runtimes, n_runtimes, &facts.machine, &p->diags, &p->desired);
        if (r < 0)
                return r;
        if (r > 0)
                return EXIT_INVALID;
        if (!p->offline)
                r = site_check(p->desired, c->paths->roster, &facts.machine, &p->diags);
        if (r == 0)
                r = check_socket(c, p);
        if (r < 0)
                return r;
        diags_sort(&p->diags);
        return p->diags.n_errors > 0 ? EXIT_INVALID : 0;
}

/* The one that the plan was made from is kept. */
static int look(Context *c, bool details, Pass *p) {
        uint64_t before = clock_monotonic_usec();
        Observed *o;
        int r;

        r = c->driver.observe(c->driver.world, p->desired, details, &o);
        if (r < 0)
                return r;
        if (p->first)
                observed_free(p->observed);
        else
                p->first = p->observed;
        p->observed = o;
        r = busy_find(&c->driver, p->desired, o);
        if (r < 0)
                return r;
        p->observe_usec = clock_monotonic_usec() - before;
        return 0;
}

int pass_plan(Context *c, const PlanPolicy *policy, bool details, Pass *p) {
        int r;

        r = look(c, details, p);
        if (r == 0 && policy->paced)
                r = pacing_observe(&p->observed->pacing, p->desired, p->observed,
                                p->observed->monotonic_usec);
        if (r < 0)
                return r;
        p->first = observed_free(p->first);
        p->look_usec = p->observed->monotonic_usec;
        return planner_plan(p->desired, p->observed, policy, p->observed->now_usec, &p->plan);
}

static bool is_interrupted(const ApplyCallbacks *callbacks) {
        return callbacks && callbacks->interrupted && callbacks->interrupted(callbacks->userdata);
}

/* Is somebody on the way down? */
static bool is_ending(const Pass *p) {
        for (size_t i = 0; i < p->plan->n_remarks; i++) {
                const Remark *m = p->plan->remarks + i;
                const ObservedUnit *u = m->is_agent && m->kind == REMARK_WAITING
                                                        ? observed_unit(p->observed, m->subject)
                                                        : NULL;

                if (u && (u->state == UNIT_DEACTIVATING ||
                                         (u->state == UNIT_ACTIVE && u->job_pending)))
                        return true;
        }
        return false;
}

int pass_settle(Context *c, const PlanPolicy *policy, const ApplyCallbacks *callbacks, Pass *p) {
        uint64_t deadline = clock_monotonic_usec() + SETTLE_USEC;

        while (is_ending(p) && clock_monotonic_usec() < deadline && !is_interrupted(callbacks)) {
                int r;

                clock_pause(SETTLE_STEP_USEC);
                p->plan = plan_free(p->plan);
                r = pass_plan(c, policy, /* details= */ false, p);
                if (r < 0)
                        return r;
        }
        return 0;
}

static bool was_started(const Pass *p, const Action *a) {
        return a && a->steps & STEP_START &&
               p->report->results[a - p->plan->actions].outcome == OUTCOME_DONE;
}

/* It was between two tries when the plan was made, came up, and ended again. */
static bool has_ended_again(const Pass *p, const char *agent, const ObservedStop *now) {
        const ObservedUnit *unit = observed_unit(p->first, agent);
        const ObservedStop *before = observed_stop(p->first, agent);

        return unit && unit->state == UNIT_RESTARTING && observed_stop_unasked(now) &&
               (!before || before->at_usec != now->at_usec);
}

/* Is it down although this pass saw, or had, it started? By a remark, where its policy has it come
 * back by itself, or stay down. */
static bool came_and_went(const Pass *p, const Remark *m) {
        const ObservedUnit *u = m->is_agent ? observed_unit(p->observed, m->subject) : NULL;
        const ObservedStop *stop = m->is_agent ? observed_stop(p->observed, m->subject) : NULL;
        bool started = m->is_agent && was_started(p, plan_action(p->plan, m->subject));

        if (m->kind != REMARK_WAITING)
                return started && m->reason == REASON_ENDED && stop && stop->failed;
        return u && u->state == UNIT_RESTARTING && !u->job_pending && !(stop && stop->postponed) &&
               (started || has_ended_again(p, m->subject, stop));
}

/* How it ended without us, if that is known. */
static const char *how_it_ended(const Pass *p, const char *agent, char *buffer, size_t n) {
        const ObservedStop *stop = observed_stop(p->observed, agent);

        return observed_stop_unasked(stop) ? observed_stop_text(stop, buffer, n) : NULL;
}

/* What the second look found of an action that it asks for again: "asked for" is no finding. */
static const char *found_again(const Pass *p, const Action *again, char *buffer, size_t n) {
        const char *end;

        if (again->reason != REASON_REQUESTED)
                return again->text;
        if (again->kind == ACTION_STOP)
                return "it still runs";
        end = how_it_ended(p, again->agent, buffer, n);
        return end ? end : "it does not run; 'mosaic fleet explain' says why";
}

static void contradict(Pass *p, const Action *a, const char *found) {
        size_t i = (size_t)(a - p->plan->actions);

        if (p->report->results[i].outcome == OUTCOME_DONE)
                report_set(p->report, i, OUTCOME_FAILED, "done, but on looking again: %s", found);
}

/* An action is done when the second look no longer asks for it. */
static void verify(Pass *p) {
        char text[160];

        for (size_t i = 0; i < p->plan->n_actions; i++) {
                const Action *a = p->plan->actions + i;
                const Action *again = a->agent ? plan_action(p->rest, a->agent) : NULL;

                if (again)
                        contradict(p, a, found_again(p, again, text, sizeof(text)));
        }
        for (size_t k = 0; k < p->rest->n_remarks && !p->impatient; k++) {
                const Remark *m = p->rest->remarks + k;
                const Action *a = m->is_agent ? plan_action(p->plan, m->subject) : NULL;
                bool ended = came_and_went(p, m);
                const char *end = ended ? how_it_ended(p, m->subject, text, sizeof(text)) : NULL;

                if (a && (ended || m->kind == REMARK_WAITING))
                        contradict(p, a, end ? end : m->text);
        }
}

/* The rest is planned as a whole, but what was asked for by name or verb is fulfilled now. */
static int plan_rest(Pass *p, const PlanPolicy *policy) {
        PlanPolicy rest = *policy;

        if (rest.mode == PLAN_RESTART)
                rest.mode = PLAN_START;
        plan_free(p->rest);
        p->rest = NULL;
        return planner_plan(p->desired, p->observed, &rest, p->observed->now_usec, &p->rest);
}

/* Somebody who ends at once is seen to have ended. */
static void wait_for_proof(const Pass *p) {
        for (size_t i = 0; i < p->plan->n_actions; i++)
                if (was_started(p, p->plan->actions + i)) {
                        clock_pause(PROOF_USEC);
                        return;
                }
}

/* Is there a state that passes by itself? One that came up, ended and is between two tries is in
 * none that is waited for. */
static bool is_in_between(const Pass *p) {
        for (size_t i = 0; i < p->rest->n_remarks; i++) {
                const Remark *m = p->rest->remarks + i;

                if (m->kind == REMARK_WAITING && !came_and_went(p, m))
                        return true;
        }
        return false;
}

/*
 * Looks again and plans what is left; states that pass by themselves are given a few seconds. What
 * came up in this time is looked at once more, as what was started is: it may end at once.
 */
static int look_again(
                Context *c, const PlanPolicy *policy, const ApplyCallbacks *callbacks, Pass *p) {
        uint64_t deadline = clock_monotonic_usec() + SETTLE_USEC;
        bool waited = false;

        for (;;) {
                bool waits;
                int r;

                r = look(c, /* details= */ false, p);
                if (r < 0)
                        return r;
                r = plan_rest(p, policy);
                if (r < 0)
                        return r;
                waits = is_in_between(p);
                if ((!waits && !waited) || p->impatient || is_interrupted(callbacks) ||
                                (waits && clock_monotonic_usec() >= deadline))
                        return 0;
                clock_pause(waits ? SETTLE_STEP_USEC : PROOF_USEC);
                waited = waits;
        }
}

/* Removals come last, and only if the rest is verified. *ret: why nothing may be removed now; NULL:
 * it may. 0 or -ENOMEM. */
static int why_not_remove(const Pass *p, char **ret) {
        *ret = NULL;
        for (size_t i = 0; i < p->rest->n_actions; i++) {
                const Action *a = p->rest->actions + i;

                if (a->kind != ACTION_REMOVE)
                        return format_text(ret, "%s is not as it should be: %s",
                                        a->agent ? a->agent : "the tmux server", a->text);
        }
        for (size_t i = 0; i < p->rest->n_remarks; i++) {
                const Remark *m = p->rest->remarks + i;

                if (m->kind == REMARK_BLOCKED || m->kind == REMARK_WAITING ||
                                m->kind == REMARK_UNKNOWN)
                        return format_text(ret, "%s is %s: %s", m->subject,
                                        remark_kind_to_string(m->kind), m->text);
        }
        return 0;
}

/* A removal that the second look would not do in the same way is not done: the agent came up in
 * between, somebody is attached now, the cap is reached. The next pass decides anew. */
static void skip_changed_removals(const ApplyCallbacks *callbacks, Pass *p) {
        for (size_t i = 0; i < p->plan->n_actions; i++) {
                const Action *a = p->plan->actions + i, *again;

                if (a->kind != ACTION_REMOVE ||
                                p->report->results[i].outcome != OUTCOME_NOT_STARTED)
                        continue;
                again = plan_action(p->rest, a->agent);
                if (again && again->kind == ACTION_REMOVE && again->steps == a->steps)
                        continue;
                report_set(p->report, i, OUTCOME_SKIPPED, "it has changed since the first look");
                if (callbacks && callbacks->done)
                        callbacks->done(p->plan, p->report, i, callbacks->userdata);
        }
}

static int apply_removals(
                Context *c, const PlanPolicy *policy, const ApplyCallbacks *callbacks, Pass *p) {
        _cleanup_free_ char *why = NULL;
        int r;

        if (plan_count_actions(p->plan, ACTION_REMOVE) == 0 || is_interrupted(callbacks))
                return 0;
        r = why_not_remove(p, &why);
        if (r < 0)
                return r;
        if (why) {
                apply_skip_removals(p->plan, callbacks, p->report, why);
                return 0;
        }
        skip_changed_removals(callbacks, p);
        r = apply_plan(&c->driver, p->desired, p->observed, p->plan, APPLY_REMOVALS, callbacks,
                        p->report);
        return r < 0 ? r : look_again(c, policy, callbacks, p);
}

int pass_apply(Context *c, const PlanPolicy *policy, const ApplyCallbacks *callbacks, Pass *p) {
        uint64_t before = clock_monotonic_usec();
        int r;

        r = report_new(p->plan, &p->report);
        if (r < 0)
                return r;
        r = apply_plan(&c->driver, p->desired, p->observed, p->plan, APPLY_MAIN, callbacks,
                        p->report);
        if (r < 0)
                return r;
        if (!p->impatient)
                wait_for_proof(p);
        /* Nothing to do is not looked at twice. */
        if (p->plan->n_actions > 0 || plan_count_remarks(p->plan, REMARK_WAITING) > 0) {
                r = look_again(c, policy, callbacks, p);
                if (r == 0)
                        r = apply_removals(c, policy, callbacks, p);
                if (r < 0)
                        return r;
                verify(p);
        }
        p->apply_usec = clock_monotonic_usec() - before;
        return 0;
}

ExitCode pass_exit_code(const Pass *p) {
        ExitCode rest = plan_exit_code(p->rest ? p->rest : p->plan);

        if (rest == EXIT_UNKNOWN)
                return rest;
        if (report_count(p->report, OUTCOME_DONE) < p->report->n_results || rest == EXIT_PENDING)
                return EXIT_NOT_CONVERGED;
        return rest;
}
