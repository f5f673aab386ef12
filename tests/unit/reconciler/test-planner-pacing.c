/* SPDX-License-Identifier: MIT */

/* What the controller's plans add: starts that wait for the ledger, removals that wait for the
 * roster; and the loop of looks, plans and starts as a whole: nobody who can run stays down. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "model/base/parse.h"
#include "model/base/strv.h"
#include "reconciler/plan/planner.h"
#include "tests/simulation/world.h"

#define SECOND USEC_PER_SEC
#define MINUTE (60 * SECOND)
#define REALTIME (1000000 * SECOND)

typedef struct Controller {
        World w;
        Pacing pacing;
        uint64_t now;
        uint64_t started[WORLD_AGENTS_MAX]; /* by number in the world; 0: long ago */
        bool masked[WORLD_AGENTS_MAX];
        bool broken[WORLD_AGENTS_MAX]; /* ends as soon as it is started */
        bool refused;                  /* by its launcher */
} Controller;

static void controller_done(Controller *c) {
        pacing_done(&c->pacing);
}

static const char *const four[] = { "ab-1", "ab-10", "db", "web" };

static size_t number_of(Controller *c, const char *agent) {
        return (size_t)(world_agent(&c->w, agent) - c->w.agents);
}

static void accept(World *w, const AgentSpec *s) {
        WorldAgent *a = world_agent(w, s->name);

        a->spec = a->session = true;
        a->unit = UNIT_ACTIVE;
        a->pid = world_new_pid(w);
        a->session_number = w->next_session++;
        a->restart = a->running = world_number(s->restart_fingerprint);
        a->live = a->dropin = a->loaded = world_number(s->live_fingerprint);
        a->resolved = a->running_resolved = world_number(s->resolved);
}

/* Everything of @d runs. */
static Controller controller_new(const Desired *d) {
        Controller c = { .now = 1000 * SECOND };

        world_init(&c.w);
        c.w.server = true;
        for (size_t i = 0; i < d->n_agents; i++)
                accept(&c.w, d->agents[i]);
        return c;
}

static Observed *observe(Controller *c, const Desired *d) {
        Driver driver = world_driver(&c->w);
        Observed *o;

        assert_int_equal(driver.observe(&c->w, d, false, &o), 0);
        o->now_usec = REALTIME + c->now;
        o->monotonic_usec = c->now;
        for (size_t i = 0; i < o->n_run; i++) {
                uint64_t started = c->started[number_of(c, o->run[i].agent)];

                o->run[i].started_usec = started ? REALTIME + started : 0;
                o->run[i].monotonic_usec = started;
        }
        for (size_t i = 0; i < o->n_units; i++) {
                ObservedStop *s;

                if (c->masked[number_of(c, o->units[i].agent)])
                        o->units[i].masked = strdup("mosaic-agent@NAME.service");
                if (o->units[i].state != UNIT_FAILED)
                        continue;
                s = observed_add_stop(o);
                assert_non_null(s);
                s->agent = strdup(o->units[i].agent);
                s->result = strdup("exit-code");
                s->code = strdup("exited");
                s->status = strdup(c->refused ? "178" : "3");
                assert_true(s->agent && s->result && s->code && s->status);
                observed_stop_classify(s);
                s->this_boot = true;
                s->at_usec = o->now_usec;
        }
        observed_sort(o);
        for (size_t i = 0; i < o->n_sessions; i++)
                o->sessions[i].busy = BUSY_NO;
        return o;
}

/* A look and a plan, as the controller makes them; the ledger stays with @c. */
static Plan *plan_with(Controller *c, const Desired *d, const PlanPolicy *policy) {
        Observed *o = observe(c, d);
        Plan *plan = NULL;

        if (policy->paced)
                assert_int_equal(pacing_observe(&c->pacing, d, o, c->now), 0);
        o->pacing = c->pacing;
        assert_int_equal(planner_plan(d, o, policy, o->now_usec, &plan), 0);
        o->pacing = (Pacing){ 0 };
        observed_free(o);
        return plan;
}

static const PlanPolicy watch = { .mode = PLAN_CONVERGE, .allow_remove = -1, .paced = true };

static Plan *plan_of(Controller *c, const Desired *d) {
        return plan_with(c, d, &watch);
}

static void assert_action(const Plan *p, const char *agent, ActionKind kind, Reason reason) {
        const Action *a = plan_action(p, agent);

        if (!a)
                fail_msg("no action for %s", agent);
        assert_string_equal(action_kind_to_string(a->kind), action_kind_to_string(kind));
        assert_string_equal(reason_to_string(a->reason), reason_to_string(reason));
}

static const Remark *assert_remark(
                const Plan *p, const char *subject, RemarkKind kind, Reason reason) {
        for (size_t i = 0; i < p->n_remarks; i++)
                if (strcmp(p->remarks[i].subject, subject) == 0) {
                        assert_string_equal(remark_kind_to_string(p->remarks[i].kind),
                                        remark_kind_to_string(kind));
                        assert_string_equal(reason_to_string(p->remarks[i].reason),
                                        reason_to_string(reason));
                        return p->remarks + i;
                }
        fail_msg("no remark about %s", subject);
        return NULL;
}

static void fail_agent(Controller *c, const char *agent) {
        WorldAgent *a = world_agent(&c->w, agent);

        a->unit = UNIT_FAILED;
        a->pid = 0;
}

/* --- starts ----------------------------------------------------------------------------------- */

static void test_waits_for_the_ledger(void **state _unused_) {
        _cleanup_(desired_freep) Desired *d = world_desired(four, 4);
        _cleanup_(controller_done) Controller c = controller_new(d);
        _cleanup_(plan_freep) Plan *waits = NULL, *verb = NULL, *due = NULL, *refused = NULL;
        const Remark *m;

        fail_agent(&c, "web");
        waits = plan_of(&c, d);
        assert_int_equal(waits->n_actions, 0);
        m = assert_remark(waits, "web", REMARK_DEFERRED, REASON_BACKOFF);
        assert_true(m->is_agent);
        assert_int_equal(m->line, 7);
        assert_string_equal(m->help, "mosaic fleet start web");
        assert_non_null(strstr(m->text, "it ended with status 3, tried again in "));
        assert_int_equal(waits->n_unchanged, 3);
        assert_int_equal(plan_exit_code(waits), EXIT_PENDING);

        /* The number would say nothing to a person. */
        c.refused = true;
        refused = plan_of(&c, d);
        m = assert_remark(refused, "web", REMARK_DEFERRED, REASON_BACKOFF);
        assert_non_null(strstr(m->text,
                        "its launcher ended with status 178: 'mosaic agent tail web' says why, "
                        "tried again in "));
        c.refused = false;

        /* Another verb does not wait. */
        verb = plan_with(&c, d, &PLAN_POLICY_DEFAULT);
        assert_action(verb, "web", ACTION_START, REASON_UNIT_FAILED);

        c.now = pacing_next(&c.pacing, c.now);
        due = plan_of(&c, d);
        assert_action(due, "web", ACTION_START, REASON_UNIT_FAILED);
        assert_true(plan_action(due, "web")->steps & STEP_RESET_FAILED);
        assert_int_equal(due->n_remarks, 0);
}

/* Asked for by a person it is started, also where the policy is the controller's. */
static void test_asked_for(void **state _unused_) {
        static const PlanMode modes[] = { PLAN_START, PLAN_RESTART };
        _cleanup_(desired_freep) Desired *d = world_desired(four, 4);
        _cleanup_(controller_done) Controller c = controller_new(d);
        char name[] = "web", *names[] = { name, NULL };

        fail_agent(&c, "web");
        fail_agent(&c, "ab-1");
        for (size_t i = 0; i < ELEMENTSOF(modes); i++) {
                PlanPolicy policy = watch;
                _cleanup_(plan_freep) Plan *p = NULL;

                policy.mode = modes[i];
                policy.names = names;
                p = plan_with(&c, d, &policy);
                assert_int_equal(p->n_actions, 1);
                assert_action(p, "web", ACTION_START, REASON_REQUESTED);
                assert_int_equal(p->n_remarks, 0);
        }
}

static void test_names(void **state _unused_) {
        _cleanup_(desired_freep) Desired *d = world_desired(four, 4);
        _cleanup_(controller_done) Controller c = controller_new(d);
        char name[] = "web", *names[] = { name, NULL };
        PlanPolicy policy = watch;
        _cleanup_(plan_freep) Plan *p = NULL;

        fail_agent(&c, "web");
        fail_agent(&c, "ab-1");
        d->agents[0]->on_change = ON_CHANGE_KEEP; /* to tell them apart */
        policy.names = names;
        p = plan_with(&c, d, &policy);
        assert_int_equal(p->n_remarks, 1);
        assert_string_equal(p->remarks[0].subject, "web");
        assert_int_equal(p->n_agents, 1);
}

static void test_changed_spec(void **state _unused_) {
        _cleanup_(desired_freep) Desired *d = world_desired(four, 4);
        _cleanup_(controller_done) Controller c = controller_new(d);
        _cleanup_(plan_freep) Plan *live = NULL, *changed = NULL;

        fail_agent(&c, "web");
        agent_spec_free(d->agents[3]);
        d->agents[3] = world_spec("web", 1, 2);
        live = plan_of(&c, d); /* its program is the same */
        assert_remark(live, "web", REMARK_DEFERRED, REASON_BACKOFF);
        agent_spec_free(d->agents[3]);
        d->agents[3] = world_spec("web", 2, 2);
        changed = plan_of(&c, d);
        assert_action(changed, "web", ACTION_START, REASON_UNIT_FAILED);
        assert_true(plan_action(changed, "web")->steps & STEP_SPEC);
        pacing_planned(&c.pacing, changed, c.now);
        assert_null(pacing_find(&c.pacing, "web")); /* nothing is held against it */
}

static void test_crash_loop(void **state _unused_) {
        _cleanup_(desired_freep) Desired *d = world_desired(four, 4);
        _cleanup_(controller_done) Controller c = controller_new(d);
        _cleanup_(plan_freep) Plan *p = NULL, *q = NULL;

        fail_agent(&c, "web");
        p = plan_of(&c, d);
        c.pacing.items[0].crash_loop = true;
        q = plan_of(&c, d);
        assert_remark(q, "web", REMARK_DEFERRED, REASON_CRASH_LOOP);
        assert_int_equal(plan_exit_code(q), EXIT_PENDING);
}

static void test_common_cause(void **state _unused_) {
        _cleanup_(desired_freep) Desired *d = world_desired(four, 4);
        _cleanup_(controller_done) Controller c = controller_new(d);
        _cleanup_(plan_freep) Plan *p = NULL, *q = NULL;
        const Remark *m;

        fail_agent(&c, "web");
        fail_agent(&c, "db");
        p = plan_of(&c, d);
        assert_int_equal(p->n_actions, 0);
        assert_remark(p, "db", REMARK_DEFERRED, REASON_BACKOFF);
        m = assert_remark(p, "web", REMARK_DEFERRED, REASON_COMMON_CAUSE);
        assert_non_null(strstr(m->text, "half of the fleet: db is tried first"));
        assert_string_equal(m->help, "mosaic fleet start web");
        assert_int_equal(plan_exit_code(p), EXIT_PENDING);
        c.now += MINUTE;
        q = plan_of(&c, d);
        assert_int_equal(q->n_actions, 1);
        assert_action(q, "db", ACTION_START, REASON_UNIT_FAILED);
}

/* What a person is needed for stays what it is, whatever the ledger says. */
static void test_other_remarks_come_first(void **state _unused_) {
        _cleanup_(desired_freep) Desired *d = world_desired(four, 4);
        _cleanup_(controller_done) Controller c = controller_new(d);
        _cleanup_(plan_freep) Plan *p = NULL;

        for (size_t i = 0; i < 2; i++)
                fail_agent(&c, four[i]);
        d->agents[0]->restart_policy = RESTART_NEVER;
        c.masked[1] = true;
        p = plan_of(&c, d);
        assert_remark(p, "ab-1", REMARK_HELD, REASON_ENDED);
        assert_remark(p, "ab-10", REMARK_BLOCKED, REASON_UNIT_MASKED);
        assert_int_equal(plan_exit_code(p), EXIT_BLOCKED);
}

/* One that comes after another which waits, waits with it: no person is needed. */
static void test_dependants_wait_too(void **state _unused_) {
        _cleanup_(desired_freep) Desired *d = world_desired(four, 4);
        _cleanup_(controller_done) Controller c = controller_new(d);
        _cleanup_(plan_freep) Plan *p = NULL, *q = NULL;

        assert_int_equal(strv_push(&d->agents[0]->after, "web"), 0);
        fail_agent(&c, "web");
        world_agent(&c.w, "ab-1")->unit = UNIT_NOT_LOADED;
        p = plan_of(&c, d);
        assert_int_equal(p->n_actions, 0);
        assert_remark(p, "web", REMARK_DEFERRED, REASON_BACKOFF);
        assert_remark(p, "ab-1", REMARK_DEFERRED, REASON_DEPENDENCY);
        assert_int_equal(plan_exit_code(p), EXIT_PENDING);
        c.now = pacing_next(&c.pacing, c.now);
        q = plan_of(&c, d);
        assert_int_equal(q->n_actions, 2);
        assert_string_equal(plan_action(q, "ab-1")->after[0], "web");
}

/* --- removals --------------------------------------------------------------------------------- */

static void test_removals_wait(void **state _unused_) {
        static const char *const now[] = { "ab-1", "ab-10", "new", "web" };
        _cleanup_(desired_freep) Desired *d = world_desired(four, 4), *e = world_desired(now, 4);
        _cleanup_(controller_done) Controller c = controller_new(d);
        _cleanup_(plan_freep) Plan *waits = NULL, *busy = NULL, *settled = NULL;
        PlanPolicy policy = watch;
        const Remark *m;

        policy.removals_wait = true;
        waits = plan_with(&c, e, &policy);
        m = assert_remark(waits, "db", REMARK_DEFERRED, REASON_ROSTER_SETTLES);
        assert_true(m->is_agent);
        assert_null(m->help);
        assert_int_equal(plan_count_actions(waits, ACTION_REMOVE), 0);
        assert_action(waits, "new", ACTION_CREATE, REASON_NOT_PRESENT); /* the rest does not */
        assert_int_equal(plan_exit_code(waits), EXIT_PENDING);

        world_agent(&c.w, "db")->attached = 1;
        busy = plan_with(&c, e, &policy);
        assert_remark(busy, "db", REMARK_DEFERRED, REASON_STILL_BUSY);
        world_agent(&c.w, "db")->attached = 0;

        policy.removals_wait = false;
        settled = plan_with(&c, e, &policy);
        assert_action(settled, "db", ACTION_REMOVE, REASON_NOT_IN_ROSTER);
}

/* Whatever left the roster and in whatever state it is: nothing is destroyed while it settles. */
static void test_no_removal_while_settling(void **state _unused_) {
        static const UnitState states[] = { UNIT_NOT_LOADED, UNIT_INACTIVE, UNIT_ACTIVATING,
                UNIT_ACTIVE, UNIT_DEACTIVATING, UNIT_FAILED, UNIT_RESTARTING, UNIT_OTHER };
        _cleanup_(desired_freep) Desired *d = world_desired(four, 4);

        for (size_t i = 0; i < ELEMENTSOF(states); i++)
                for (unsigned left = 1; left < 16; left++) {
                        _cleanup_(controller_done) Controller c = controller_new(d);
                        _cleanup_(desired_freep) Desired *e = NULL;
                        _cleanup_(plan_freep) Plan *p = NULL;
                        PlanPolicy policy = watch;
                        const char *rest[4];
                        size_t n = 0;

                        policy.removals_wait = true;
                        for (unsigned k = 0; k < 4; k++)
                                if (left & (1u << k)) {
                                        world_agent(&c.w, four[k])->unit = states[i];
                                        world_agent(&c.w, four[k])->session = k % 2;
                                } else
                                        rest[n++] = four[k];
                        e = world_desired(rest, n);
                        p = plan_with(&c, e, &policy);
                        for (size_t k = 0; k < p->n_actions; k++)
                                assert_int_equal(p->actions[k].steps &
                                                                 (unsigned)(STEP_STOP | STEP_FILES |
                                                                                 STEP_KILL_SESSION),
                                                0);
                        assert_true(plan_exit_code(p) == EXIT_PENDING ||
                                        plan_exit_code(p) == EXIT_BLOCKED);
                }
}

/* The cap is said at once: it does not become smaller by waiting. */
static void test_cap_does_not_wait(void **state _unused_) {
        static const char *const left[] = { "web" };
        _cleanup_(desired_freep) Desired *d = world_desired(four, 4), *e = world_desired(left, 1);
        _cleanup_(controller_done) Controller c = controller_new(d);
        _cleanup_(plan_freep) Plan *p = NULL;
        PlanPolicy policy = watch;

        policy.removals_wait = true;
        p = plan_with(&c, e, &policy);
        assert_int_equal(p->n_actions, 0);
        assert_remark(p, "removals", REMARK_BLOCKED, REASON_REMOVAL_CAP);
        assert_int_equal(plan_exit_code(p), EXIT_BLOCKED);
}

/* --- the loop --------------------------------------------------------------------------------- */

static uint64_t random_next(uint64_t *seed) {
        *seed = *seed * 6364136223846793005u + 1442695040888963407u;
        return *seed >> 33;
}

/* One pass; what is started runs, or ends at once. */
static size_t pass(Controller *c, const Desired *d) {
        _cleanup_(plan_freep) Plan *p = plan_of(c, d);
        size_t n = 0;

        pacing_planned(&c->pacing, p, c->now);
        for (size_t i = 0; i < p->n_actions; i++) {
                const Action *a = p->actions + i;
                size_t k;

                if (!a->agent || !(a->steps & STEP_START))
                        continue;
                k = number_of(c, a->agent);
                assert_int_not_equal(c->w.agents[k].unit, UNIT_ACTIVE);
                c->w.agents[k].unit = c->broken[k] ? UNIT_FAILED : UNIT_ACTIVE;
                c->started[k] = c->broken[k] ? 0 : c->now;
                n++;
        }
        return n;
}

/* Neither broken itself, nor in a person's hands, nor after one that is. */
static bool can_run(const Controller *c, const Desired *d, size_t i) {
        const AgentSpec *s = d->agents[i];

        if (c->broken[i] || c->masked[i] || s->restart_policy == RESTART_NEVER)
                return false;
        for (char **name = s->after; name && *name; name++)
                for (size_t k = 0; k < d->n_agents; k++)
                        if (strcmp(d->agents[k]->name, *name) == 0 && !can_run(c, d, k))
                                return false;
        return true;
}

static Desired *random_fleet(uint64_t *seed, size_t n) {
        static char names[WORLD_AGENTS_MAX][24];
        const char *pointers[WORLD_AGENTS_MAX] = { NULL };
        Desired *d;

        for (size_t i = 0; i < n; i++) {
                (void)snprintf(names[i], sizeof(names[i]), "a%02zu", i);
                pointers[i] = names[i];
        }
        d = world_desired(pointers, n);
        for (size_t i = 0; i < n; i++) {
                /* No cycles: one of two directions for a whole fleet. */
                size_t other = (size_t)random_next(seed) % n;

                if (random_next(seed) % 3 == 0 && (n % 2 ? other < i : other > i))
                        assert_int_equal(strv_push(&d->agents[i]->after, names[other]), 0);
                if (random_next(seed) % 6 == 0)
                        d->agents[i]->restart_policy = RESTART_NEVER;
        }
        return d;
}

/* All of it, or much of it, is lost at once. Some of it is broken or needs a person, from whom
 * nothing comes; everything else is up again before long, and the controller does not spin. */
static void test_nobody_stays_down(void **state _unused_) {
        for (uint64_t run = 1; run <= 150; run++) {
                size_t n = 1 + run % WORLD_AGENTS_MAX;
                uint64_t seed = run, lost, begin;
                _cleanup_(desired_freep) Desired *d = random_fleet(&seed, n);
                _cleanup_(controller_done) Controller c = controller_new(d);
                unsigned n_passes = 0;

                begin = c.now;
                lost = 1 + random_next(&seed) % 4;
                for (size_t i = 0; i < n; i++) {
                        c.broken[i] = random_next(&seed) % 8 == 0;
                        c.masked[i] = random_next(&seed) % 8 == 0;
                        if (lost == 1 || random_next(&seed) % lost != 0)
                                fail_agent(&c, d->agents[i]->name);
                }
                while (c.now < begin + 30 * MINUTE) {
                        uint64_t resync = c.now + MINUTE, next;

                        (void)pass(&c, d);
                        n_passes++;
                        next = pacing_next(&c.pacing, c.now);
                        assert_true(next > c.now);
                        c.now = next < resync ? next : resync;
                }
                for (size_t i = 0; i < n; i++)
                        if (can_run(&c, d, i) && c.w.agents[i].unit != UNIT_ACTIVE)
                                fail_msg("run %ju: %s of %zu is down after 30 min", (uintmax_t)run,
                                                d->agents[i]->name, n);
                if (n_passes > 600)
                        fail_msg("run %ju: %u passes in 30 min", (uintmax_t)run, n_passes);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_waits_for_the_ledger),
                cmocka_unit_test(test_asked_for),
                cmocka_unit_test(test_names),
                cmocka_unit_test(test_changed_spec),
                cmocka_unit_test(test_crash_loop),
                cmocka_unit_test(test_common_cause),
                cmocka_unit_test(test_other_remarks_come_first),
                cmocka_unit_test(test_dependants_wait_too),
                cmocka_unit_test(test_removals_wait),
                cmocka_unit_test(test_no_removal_while_settling),
                cmocka_unit_test(test_cap_does_not_wait),
                cmocka_unit_test(test_nobody_stays_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
