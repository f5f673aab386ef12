/* SPDX-License-Identifier: MIT */

/* What the planner decides, case by case, and the properties that make it a reconciler. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "model/base/strv.h"
#include "reconciler/busy.h"
#include "reconciler/pass.h"
#include "reconciler/plan/planner.h"
#include "tests/simulation/world.h"

static Plan *plan_with(World *w, const Desired *d, PlanPolicy policy) {
        Driver driver = world_driver(w);
        _cleanup_(observed_freep) Observed *o = NULL;
        Plan *plan = NULL;

        assert_int_equal(driver.observe(w, d, false, &o), 0);
        assert_int_equal(busy_find(&driver, d, o), 0);
        assert_int_equal(planner_plan(d, o, &policy, o->now_usec, &plan), 0);
        return plan;
}

static Plan *plan_of(World *w, const Desired *d) {
        return plan_with(w, d, PLAN_POLICY_DEFAULT);
}

/* In this world nothing needs time; pass.c waits for what was started. */
int nanosleep(const struct timespec *time _unused_, struct timespec *left _unused_) {
        return 0;
}

/* Plans and applies as the verbs do; returns how many actions did not succeed. */
static size_t converge(World *w, const Desired *d, PlanPolicy policy) {
        Context c = { .driver = world_driver(w) };
        Pass p = PASS_NULL;
        size_t n;

        p.desired = (Desired *)(uintptr_t)d; /* borrowed: taken out again below */
        assert_int_equal(pass_plan(&c, &policy, false, &p), 0);
        assert_int_equal(pass_apply(&c, &policy, NULL, &p), 0);
        n = p.report->n_results - report_count(p.report, OUTCOME_DONE);
        p.desired = NULL;
        pass_done(&p);
        return n;
}

static void assert_action(const Plan *p, const char *agent, ActionKind kind, Reason reason) {
        const Action *a = plan_action(p, agent);

        if (!a)
                fail_msg("no action for %s", agent);
        assert_string_equal(action_kind_to_string(a->kind), action_kind_to_string(kind));
        assert_string_equal(reason_to_string(a->reason), reason_to_string(reason));
}

static void assert_remark(const Plan *p, const char *subject, RemarkKind kind, Reason reason) {
        for (size_t i = 0; i < p->n_remarks; i++)
                if (strcmp(p->remarks[i].subject, subject) == 0) {
                        assert_string_equal(remark_kind_to_string(p->remarks[i].kind),
                                        remark_kind_to_string(kind));
                        assert_string_equal(reason_to_string(p->remarks[i].reason),
                                        reason_to_string(reason));
                        return;
                }
        fail_msg("no remark about %s", subject);
}

static const char *const three[] = { "ab-1", "ab-10", "web" };

static void converged(World *w, const Desired *d) {
        world_init(w);
        assert_int_equal(converge(w, d, PLAN_POLICY_DEFAULT), 0);
        w->n_destroyed = w->n_reloads = 0;
        w->now_usec += 10000000; /* nobody has just started */
}

static void test_cold(void **state _unused_) {
        _cleanup_(desired_freep) Desired *d = world_desired(three, 3);
        _cleanup_(plan_freep) Plan *p = NULL, *again = NULL;
        World w;

        world_init(&w);
        p = plan_of(&w, d);
        assert_int_equal(p->n_actions, 4);
        assert_int_equal(p->actions[0].kind, ACTION_HOLDER_START);
        for (size_t i = 0; i < 3; i++)
                assert_action(p, three[i], ACTION_CREATE, REASON_NOT_PRESENT);
        assert_int_equal(plan_exit_code(p), EXIT_PENDING);

        assert_int_equal(converge(&w, d, PLAN_POLICY_DEFAULT), 0);
        again = plan_of(&w, d);
        assert_int_equal(again->n_actions, 0);
        assert_int_equal(again->n_unchanged, 3);
        assert_int_equal(plan_exit_code(again), EXIT_OK);
        for (size_t i = 0; i < 3; i++)
                assert_int_equal(world_agent(&w, three[i])->n_starts, 1);
        assert_int_equal(w.n_destroyed, 0);
        assert_int_equal(w.n_reloads, 0);
}

static void replace_spec(Desired *d, size_t i, AgentSpec *s) {
        agent_spec_free(d->agents[i]);
        d->agents[i] = s;
}

static void test_effects(void **state _unused_) {
        _cleanup_(desired_freep) Desired *d = world_desired(three, 3);
        _cleanup_(plan_freep) Plan *live = NULL, *restart = NULL, *upgrade = NULL;
        World w;

        converged(&w, d);
        replace_spec(d, 0, world_spec("ab-1", 1, 2));
        live = plan_of(&w, d);
        assert_int_equal(live->n_actions, 1);
        assert_action(live, "ab-1", ACTION_UPDATE, REASON_FIELD_LIVE);
        assert_int_equal(converge(&w, d, PLAN_POLICY_DEFAULT), 0);
        assert_int_equal(w.n_destroyed, 0);
        assert_int_equal(w.n_reloads, 1);
        assert_string_equal(world_fingerprint(world_agent(&w, "ab-1")->loaded),
                        d->agents[0]->live_fingerprint);

        replace_spec(d, 2, world_spec("web", 2, 1));
        restart = plan_of(&w, d);
        assert_int_equal(restart->n_actions, 1);
        assert_action(restart, "web", ACTION_RESTART, REASON_FIELD_RESTART);
        assert_int_equal(converge(&w, d, PLAN_POLICY_DEFAULT), 0);
        assert_int_equal(world_agent(&w, "web")->n_starts, 2);
        assert_int_equal(world_agent(&w, "ab-1")->n_starts, 1);
        assert_int_equal(world_agent(&w, "ab-10")->n_starts, 1);

        /* The product's own data moved: no action, but the spec is there for the next restart. */
        d->agents[1]->resolved[0] = 'f';
        upgrade = plan_of(&w, d);
        assert_int_equal(upgrade->n_actions, 0);
        assert_int_equal(plan_exit_code(upgrade), EXIT_OK);
        assert_remark(upgrade, "ab-10", REMARK_PENDING, REASON_TOOL_UPGRADE);
        assert_int_equal(converge(&w, d, PLAN_POLICY_DEFAULT), 0);
        assert_string_equal(world_fingerprint(world_agent(&w, "ab-10")->resolved),
                        d->agents[1]->resolved);
        assert_int_equal(world_agent(&w, "ab-10")->n_starts, 1);
}

static void test_deferred(void **state _unused_) {
        _cleanup_(desired_freep) Desired *d = world_desired(three, 3);
        _cleanup_(plan_freep) Plan *deferred = NULL, *kept = NULL, *forced = NULL;
        char web[] = "web", *force[] = { web, NULL };
        PlanPolicy policy = PLAN_POLICY_DEFAULT;
        World w;

        converged(&w, d);
        world_agent(&w, "web")->attached = 1;
        replace_spec(d, 2, world_spec("web", 2, 1));
        deferred = plan_of(&w, d);
        assert_remark(deferred, "web", REMARK_DEFERRED, REASON_STILL_BUSY);
        assert_int_equal(plan_exit_code(deferred), EXIT_PENDING);
        (void)converge(&w, d, PLAN_POLICY_DEFAULT);
        assert_int_equal(w.n_destroyed, 0);
        /* What a start would use is the accepted spec all the same. */
        assert_string_equal(world_fingerprint(world_agent(&w, "web")->restart),
                        d->agents[2]->restart_fingerprint);

        policy.force_busy = force;
        forced = plan_with(&w, d, policy);
        assert_action(forced, "web", ACTION_RESTART, REASON_FIELD_RESTART);

        world_agent(&w, "web")->attached = 0;
        d->agents[2]->on_change = ON_CHANGE_KEEP;
        kept = plan_of(&w, d);
        assert_int_equal(kept->n_actions, 0);
        assert_remark(kept, "web", REMARK_PENDING, REASON_ON_CHANGE_KEEP);
}

/* An agent at work is neither restarted nor removed by itself; asked for, it is. */
static void test_at_work(void **state _unused_) {
        static const char *const left[] = { "ab-1", "web" };
        _cleanup_(desired_freep) Desired *d = world_desired(three, 3), *e = world_desired(left, 2);
        _cleanup_(plan_freep) Plan *p = NULL;
        World w;

        converged(&w, d);
        world_agent(&w, "web")->at_work = world_agent(&w, "ab-10")->at_work = true;
        replace_spec(e, 1, world_spec("web", 2, 1));
        p = plan_of(&w, e);
        assert_remark(p, "web", REMARK_DEFERRED, REASON_STILL_BUSY);
        assert_remark(p, "ab-10", REMARK_DEFERRED, REASON_STILL_BUSY);
        (void)converge(&w, e, PLAN_POLICY_DEFAULT);
        assert_int_equal(w.n_destroyed, 0);
        world_agent(&w, "web")->at_work = world_agent(&w, "ab-10")->at_work = false;
        assert_int_equal(converge(&w, e, PLAN_POLICY_DEFAULT), 0);
        assert_int_equal(world_agent(&w, "web")->n_starts, 2);
        assert_false(world_agent(&w, "ab-10")->session);
}

static void test_drift(void **state _unused_) {
        _cleanup_(desired_freep) Desired *d = world_desired(three, 3);
        _cleanup_(plan_freep) Plan *p = NULL;
        World w;

        converged(&w, d);
        world_agent(&w, "ab-1")->unit = UNIT_FAILED;
        world_agent(&w, "ab-10")->session = false;
        world_agent(&w, "web")->misnamed = true;
        p = plan_of(&w, d);
        assert_action(p, "ab-1", ACTION_START, REASON_UNIT_FAILED);
        assert_true(plan_action(p, "ab-1")->steps & STEP_RESET_FAILED);
        assert_action(p, "ab-10", ACTION_RESTART, REASON_SESSION_GONE);
        assert_action(p, "web", ACTION_UPDATE, REASON_SESSION_RENAMED);
        assert_int_equal(converge(&w, d, PLAN_POLICY_DEFAULT), 0);
        assert_int_equal(world_agent(&w, "web")->n_starts, 1);
        plan_free(p);
        p = plan_of(&w, d);
        assert_int_equal(plan_exit_code(p), EXIT_OK);
}

static void test_manual_stop(void **state _unused_) {
        _cleanup_(desired_freep) Desired *d = world_desired(three, 3);
        _cleanup_(plan_freep) Plan *held = NULL, *down = NULL, *asked = NULL, *back = NULL;
        PlanPolicy start = { .mode = PLAN_START, .allow_remove = -1 };
        World w;

        converged(&w, d);
        world_agent(&w, "web")->unit = UNIT_NOT_LOADED;
        world_agent(&w, "web")->stopped_well = true;
        world_agent(&w, "web")->stopped_mono_usec = w.mono_usec;
        held = plan_of(&w, d);
        assert_remark(held, "web", REMARK_HELD, REASON_MANUAL_STOP);
        assert_int_equal(plan_exit_code(held), EXIT_OK);
        asked = plan_with(&w, d, start);
        assert_action(asked, "web", ACTION_START, REASON_REQUESTED);

        /* Also where the clock was set back between the start of the holder and the stop. */
        w.now_usec -= 5000000;
        back = plan_of(&w, d);
        assert_remark(back, "web", REMARK_HELD, REASON_MANUAL_STOP);

        /* Down together with the holder is drift, never a hold. */
        w.server = false;
        for (size_t i = 0; i < w.n_agents; i++)
                w.agents[i] = (WorldAgent){ 0 };
        w.n_agents = 0;
        world_agent(&w, "web")->spec = true;
        world_agent(&w, "web")->stopped_well = true;
        world_agent(&w, "web")->stopped_mono_usec = w.mono_usec;
        down = plan_of(&w, d);
        assert_action(down, "web", ACTION_START, REASON_HOLDER_DOWN);
}

static void test_unknown(void **state _unused_) {
        static const char *const none[] = { "other" };
        _cleanup_(desired_freep) Desired *d = world_desired(three, 3), *e = world_desired(none, 1);
        World w;

        for (unsigned source = 0; source < 2; source++)
                for (unsigned change = 0; change < 2; change++) {
                        _cleanup_(plan_freep) Plan *p = NULL;
                        const Desired *now = change ? e : d;

                        converged(&w, d);
                        world_agent(&w, "web")->unit = UNIT_FAILED;
                        if (source == 0)
                                w.tmux = SOURCE_UNKNOWN;
                        else
                                w.manager = SOURCE_UNKNOWN;
                        p = plan_of(&w, now);
                        assert_int_equal(plan_exit_code(p), EXIT_UNKNOWN);
                        for (size_t i = 0; i < p->n_actions; i++)
                                assert_int_equal(p->actions[i].steps & ~(unsigned)(STEP_SPEC |
                                                                                       STEP_DROPIN |
                                                                                       STEP_RELOAD),
                                                0);
                        (void)converge(&w, now, PLAN_POLICY_DEFAULT);
                        assert_int_equal(w.n_destroyed, 0);
                }
}

/* A server behind a socket that is gone: repaired, never doubled, nobody restarted. */
static void test_hidden_server(void **state _unused_) {
        _cleanup_(desired_freep) Desired *d = world_desired(three, 3);
        _cleanup_(plan_freep) Plan *p = NULL, *q = NULL;
        World w;

        converged(&w, d);
        w.hidden = true;
        p = plan_of(&w, d);
        assert_int_equal(p->n_actions, 1);
        assert_int_equal(p->actions[0].kind, ACTION_HOLDER_REPAIR);
        assert_int_equal(plan_exit_code(p), EXIT_UNKNOWN);
        assert_int_equal(converge(&w, d, PLAN_POLICY_DEFAULT), 0);
        q = plan_of(&w, d);
        assert_int_equal(plan_exit_code(q), EXIT_OK);
        for (size_t i = 0; i < 3; i++)
                assert_int_equal(world_agent(&w, three[i])->n_starts, 1);
        assert_int_equal(w.n_destroyed, 0);
}

static void test_foreign_name(void **state _unused_) {
        static const char *const one[] = { "web" };
        _cleanup_(desired_freep) Desired *d = world_desired(one, 1);
        _cleanup_(plan_freep) Plan *p = NULL;
        World w;

        world_init(&w);
        w.server = world_agent(&w, "web")->namesake = true;
        /* Another session of ours, so that the server is known to be this fleet's. */
        world_agent(&w, "kept")->session = true;
        p = plan_of(&w, d);
        assert_null(plan_action(p, "web"));
        assert_remark(p, "web", REMARK_BLOCKED, REASON_FOREIGN_NAME);
        assert_int_equal(plan_exit_code(p), EXIT_BLOCKED);
}

static void test_removal_cap(void **state _unused_) {
        static const char *const left[] = { "web" };
        _cleanup_(desired_freep) Desired *d = world_desired(three, 3), *e = world_desired(left, 1);
        _cleanup_(plan_freep) Plan *capped = NULL, *wrong = NULL, *allowed = NULL;
        PlanPolicy policy = PLAN_POLICY_DEFAULT;
        World w;

        converged(&w, d);
        capped = plan_of(&w, e);
        assert_int_equal(capped->n_actions, 0);
        assert_remark(capped, "removals", REMARK_BLOCKED, REASON_REMOVAL_CAP);
        assert_non_null(strstr(capped->remarks[0].text, "--allow-remove 2 for ab-1, ab-10"));
        assert_string_equal(capped->remarks[0].help, "mosaic fleet apply --allow-remove 2");
        assert_int_equal(plan_exit_code(capped), EXIT_BLOCKED);
        policy.allow_remove = 3;
        wrong = plan_with(&w, e, policy);
        assert_int_equal(wrong->n_actions, 0);
        policy.allow_remove = 2;
        allowed = plan_with(&w, e, policy);
        assert_action(allowed, "ab-1", ACTION_REMOVE, REASON_NOT_IN_ROSTER);
        assert_action(allowed, "ab-10", ACTION_REMOVE, REASON_NOT_IN_ROSTER);
        assert_int_equal(converge(&w, e, policy), 0);
        assert_int_equal(world_agent(&w, "web")->n_starts, 1);
        assert_int_equal(world_agent(&w, "web")->n_stops, 0);
        assert_false(world_agent(&w, "ab-1")->session);
}

static void test_removal_only_after_success(void **state _unused_) {
        static const char *const now[] = { "ab-10", "new", "web" };
        _cleanup_(desired_freep) Desired *d = world_desired(three, 3), *e = world_desired(now, 3);
        World w;

        converged(&w, d);
        world_agent(&w, "new")->refuses_start = true;
        assert_int_equal(converge(&w, e, PLAN_POLICY_DEFAULT), 2);
        assert_int_equal(world_agent(&w, "ab-1")->unit, UNIT_ACTIVE);
        world_agent(&w, "new")->refuses_start = false;
        assert_int_equal(converge(&w, e, PLAN_POLICY_DEFAULT), 0);
        assert_int_equal(world_agent(&w, "ab-1")->unit, UNIT_NOT_LOADED);
        assert_false(world_agent(&w, "ab-1")->spec);
}

static void test_dependencies(void **state _unused_) {
        _cleanup_(desired_freep) Desired *d = world_desired(three, 3);
        _cleanup_(plan_freep) Plan *p = NULL;
        World w;

        assert_int_equal(strv_push(&d->agents[0]->after, "web"), 0);
        assert_int_equal(strv_push(&d->agents[1]->after, "ab-1"), 0);
        world_init(&w);
        world_agent(&w, "web")->refuses_start = true;
        assert_int_equal(converge(&w, d, PLAN_POLICY_DEFAULT), 3);
        assert_int_equal(world_agent(&w, "ab-1")->n_starts, 0);
        assert_int_equal(world_agent(&w, "ab-10")->n_starts, 0);
        world_agent(&w, "web")->refuses_start = false;
        assert_int_equal(converge(&w, d, PLAN_POLICY_DEFAULT), 0);
        assert_true(world_agent(&w, "web")->invocation < world_agent(&w, "ab-1")->invocation);
        assert_true(world_agent(&w, "ab-1")->invocation < world_agent(&w, "ab-10")->invocation);

        /* A dependency that is down and stays so is said, once per agent that waits for it. */
        converged(&w, d);
        for (size_t i = 0; i < 3; i++)
                w.agents[i].unit = UNIT_NOT_LOADED;
        world_agent(&w, "web")->stopped_well = true;
        world_agent(&w, "web")->stopped_mono_usec = w.mono_usec;
        p = plan_of(&w, d);
        assert_int_equal(p->n_actions, 0);
        assert_remark(p, "ab-1", REMARK_HELD, REASON_DEPENDENCY);
        assert_remark(p, "ab-10", REMARK_HELD, REASON_DEPENDENCY);
        assert_int_equal(plan_exit_code(p), EXIT_OK);
}

static void test_stop_verb(void **state _unused_) {
        _cleanup_(desired_freep) Desired *d = world_desired(three, 3);
        char web[] = "web", *one[] = { web, NULL };
        PlanPolicy stop = { .mode = PLAN_STOP, .allow_remove = -1, .names = one };
        World w;

        converged(&w, d);
        assert_int_equal(converge(&w, d, stop), 0);
        assert_int_equal(world_agent(&w, "web")->unit, UNIT_NOT_LOADED);
        assert_true(world_agent(&w, "web")->session); /* the pane stays */
        assert_int_equal(world_agent(&w, "ab-1")->unit, UNIT_ACTIVE);
        stop.names = NULL;
        assert_int_equal(converge(&w, d, stop), 0);
        for (size_t i = 0; i < 3; i++) {
                assert_false(world_agent(&w, three[i])->session);
                assert_true(world_agent(&w, three[i])->spec);
        }
}

/* An agent that by its host: is another machine's and still runs here: who names it hears of it,
 * and can stop it. */
static void test_elsewhere_by_name(void **state _unused_) {
        _cleanup_(desired_freep) Desired *d = world_desired(three, 3);
        _cleanup_(plan_freep) Plan *all = NULL, *look = NULL, *stop = NULL, *none = NULL;
        char name[] = "web", *names[] = { name, NULL };
        PlanPolicy by_name = PLAN_POLICY_DEFAULT;
        PlanPolicy stopping = { .mode = PLAN_STOP, .allow_remove = -1, .names = names };
        World w;

        converged(&w, d);
        d->agents[2]->elsewhere = true;
        all = plan_of(&w, d);
        assert_action(all, "web", ACTION_REMOVE, REASON_ELSEWHERE);
        by_name.names = names;
        look = plan_with(&w, d, by_name);
        assert_remark(look, "web", REMARK_DEFERRED, REASON_ELSEWHERE);
        assert_int_equal(plan_exit_code(look), EXIT_PENDING);
        stop = plan_with(&w, d, stopping);
        assert_action(stop, "web", ACTION_STOP, REASON_REQUESTED);
        assert_int_equal(converge(&w, d, stopping), 0);
        assert_int_equal(world_agent(&w, "web")->unit, UNIT_NOT_LOADED);
        none = plan_with(&w, d, by_name);
        assert_remark(none, "web", REMARK_ELSEWHERE, REASON_ELSEWHERE);
        assert_int_equal(plan_exit_code(none), EXIT_OK);
}

/* Who asks by name for an agent that the roster keeps down is not told that all is well; who asks
 * for the whole fleet means those that it wants. */
static void test_start_refused(void **state _unused_) {
        static const PlanMode modes[] = { PLAN_START, PLAN_RESTART };
        _cleanup_(desired_freep) Desired *d = world_desired(three, 3);
        char web[] = "web", two[] = "ab-10", *names[] = { two, web, NULL };
        World w;

        d->agents[1]->elsewhere = true;
        d->agents[2]->state = DESIRED_STOPPED;
        assert_string_equal(d->agents[1]->name, two);
        converged(&w, d);
        for (size_t i = 0; i < ELEMENTSOF(modes); i++) {
                PlanPolicy policy = { .mode = modes[i], .allow_remove = -1, .names = names };
                _cleanup_(plan_freep) Plan *by_name = plan_with(&w, d, policy), *all = NULL;

                assert_remark(by_name, two, REMARK_BLOCKED, REASON_ELSEWHERE);
                assert_remark(by_name, "web", REMARK_BLOCKED, REASON_STATE_STOPPED);
                assert_int_equal(by_name->n_actions, 0);
                assert_int_equal(plan_exit_code(by_name), EXIT_BLOCKED);
                policy.names = NULL;
                all = plan_with(&w, d, policy);
                assert_int_equal(plan_count_remarks(all, REMARK_BLOCKED), 0);
        }
}

/* Between two tries, and somebody does not want to wait for the next. */
static void test_restart_between_tries(void **state _unused_) {
        _cleanup_(desired_freep) Desired *d = world_desired(three, 3);
        _cleanup_(plan_freep) Plan *restart = NULL, *start = NULL;
        char web[] = "web", *names[] = { web, NULL };
        PlanPolicy policy = { .mode = PLAN_RESTART, .allow_remove = -1, .names = names };
        World w;

        converged(&w, d);
        world_agent(&w, "web")->unit = UNIT_RESTARTING;
        restart = plan_with(&w, d, policy);
        assert_action(restart, "web", ACTION_RESTART, REASON_REQUESTED);
        assert_true(restart->actions[0].steps & STEP_STOP);
        policy.mode = PLAN_START;
        start = plan_with(&w, d, policy);
        assert_remark(start, "web", REMARK_WAITING, REASON_IN_TRANSITION);
}

/* It left the roster and is not removed yet: it can be stopped by name, and alone. */
static void test_stop_departed_by_name(void **state _unused_) {
        _cleanup_(desired_freep) Desired *d = world_desired(three, 3), *empty = NULL;
        _cleanup_(plan_freep) Plan *stop = NULL;
        char web[] = "web", *names[] = { web, NULL };
        PlanPolicy stopping = { .mode = PLAN_STOP, .allow_remove = -1, .names = names };
        World w;

        converged(&w, d);
        empty = world_desired(three, 0);
        stop = plan_with(&w, empty, stopping);
        assert_action(stop, "web", ACTION_STOP, REASON_REQUESTED);
        assert_int_equal(stop->n_actions, 1);
        assert_int_equal(stop->actions[0].steps, STEP_STOP);
        assert_int_equal(converge(&w, empty, stopping), 0);
        assert_true(world_agent(&w, "web")->session);
}

/* The roster says stopped, then running again: no person stopped it. */
static void test_state_stopped(void **state _unused_) {
        _cleanup_(desired_freep) Desired *d = world_desired(three, 3);
        _cleanup_(plan_freep) Plan *p = NULL, *q = NULL;
        World w;

        converged(&w, d);
        d->agents[2]->state = DESIRED_STOPPED;
        p = plan_of(&w, d);
        assert_action(p, "web", ACTION_STOP, REASON_STATE_STOPPED);
        assert_int_equal(converge(&w, d, PLAN_POLICY_DEFAULT), 0);
        assert_int_equal(world_agent(&w, "web")->unit, UNIT_NOT_LOADED);
        d->agents[2]->state = DESIRED_RUNNING;
        q = plan_of(&w, d);
        assert_action(q, "web", ACTION_START, REASON_NOT_RUNNING);
}

/* Whatever it is in: it is not in sync before it is down. */
static void test_state_stopped_on_its_way(void **state _unused_) {
        static const UnitState goes_up[] = { UNIT_ACTIVATING, UNIT_RESTARTING };
        static const UnitState goes_down[] = { UNIT_DEACTIVATING, UNIT_OTHER };
        static const UnitState down[] = { UNIT_NOT_LOADED, UNIT_INACTIVE, UNIT_FAILED };
        _cleanup_(desired_freep) Desired *d = world_desired(three, 3);
        World w;

        converged(&w, d);
        d->agents[2]->state = DESIRED_STOPPED;
        for (size_t i = 0; i < ELEMENTSOF(goes_up); i++) {
                _cleanup_(plan_freep) Plan *p = NULL;

                world_agent(&w, "web")->unit = goes_up[i];
                p = plan_of(&w, d);
                assert_action(p, "web", ACTION_STOP, REASON_STATE_STOPPED);
        }
        for (size_t i = 0; i < ELEMENTSOF(goes_down); i++) {
                _cleanup_(plan_freep) Plan *p = NULL;

                world_agent(&w, "web")->unit = goes_down[i];
                p = plan_of(&w, d);
                assert_null(plan_action(p, "web"));
                assert_remark(p, "web", REMARK_WAITING, REASON_IN_TRANSITION);
        }
        for (size_t i = 0; i < ELEMENTSOF(down); i++) {
                _cleanup_(plan_freep) Plan *p = NULL;

                world_agent(&w, "web")->unit = down[i];
                p = plan_of(&w, d);
                assert_int_equal(p->n_actions + p->n_remarks, 0);
        }
}

/* How an agent takes our stop is no failure of the fleet. */
static void test_dies_hard(void **state _unused_) {
        static const char *const now[] = { "ab-1", "ab-10" };
        _cleanup_(desired_freep) Desired *d = world_desired(three, 3), *e = world_desired(now, 2);
        char name[] = "ab-1", *one[] = { name, NULL };
        PlanPolicy stop = { .mode = PLAN_STOP, .allow_remove = -1, .names = one };
        World w;

        converged(&w, d);
        world_agent(&w, "ab-1")->dies_hard = world_agent(&w, "web")->dies_hard = true;
        assert_int_equal(converge(&w, d, stop), 0);
        assert_int_equal(world_agent(&w, "ab-1")->unit, UNIT_NOT_LOADED);
        assert_int_equal(converge(&w, e, PLAN_POLICY_DEFAULT), 0);
        assert_int_equal(world_agent(&w, "web")->unit, UNIT_NOT_LOADED);

        /* Nor does it stand in the way of the start that follows. */
        replace_spec(e, 1, world_spec("ab-10", 2, 1));
        world_agent(&w, "ab-10")->dies_hard = true;
        assert_int_equal(converge(&w, e, PLAN_POLICY_DEFAULT), 0);
        assert_int_equal(world_agent(&w, "ab-10")->n_starts, 2);
}

/* kill -9 at any call, before or after its effect; then the same command: same end, nothing
 * doubled. */
static void test_crash_anywhere(void **state _unused_) {
        static const char *const now[] = { "ab-10", "new", "web" };
        _cleanup_(desired_freep) Desired *d = world_desired(three, 3), *e = world_desired(now, 3);
        unsigned n_calls;
        World w;

        replace_spec(e, 2, world_spec("web", 2, 2));
        converged(&w, d);
        n_calls = w.n_calls;
        assert_int_equal(converge(&w, e, PLAN_POLICY_DEFAULT), 0);
        n_calls = w.n_calls - n_calls;
        assert_true(n_calls > 5);
        for (unsigned at = 1; at <= n_calls; at++)
                for (unsigned after = 0; after < 2; after++) {
                        _cleanup_(plan_freep) Plan *p = NULL;

                        converged(&w, d);
                        w.crash_at = w.n_calls + at;
                        w.crash_after = after;
                        (void)converge(&w, e, PLAN_POLICY_DEFAULT);
                        w.crash_at = 0;
                        w.dead = false;
                        (void)converge(&w, e, PLAN_POLICY_DEFAULT);
                        p = plan_of(&w, e);
                        if (plan_exit_code(p) != EXIT_OK)
                                fail_msg("crash at call %u (%s): not converged", at,
                                                after ? "after" : "before");
                        assert_int_equal(world_agent(&w, "ab-10")->n_starts, 1);
                        assert_int_equal(world_agent(&w, "new")->n_starts, 1);
                        assert_int_equal(world_agent(&w, "web")->n_starts, 2);
                        assert_int_equal(world_agent(&w, "ab-1")->unit, UNIT_NOT_LOADED);
                }
}

/* The order in which the world lists things does not change a byte of the plan. */
static void test_order_does_not_matter(void **state _unused_) {
        static const char *const now[] = { "ab-10", "new", "web" };
        _cleanup_(desired_freep) Desired *d = world_desired(three, 3), *e = world_desired(now, 3);
        _cleanup_(plan_freep) Plan *p = NULL, *q = NULL;
        World w, reversed;

        converged(&w, d);
        reversed = w;
        for (size_t i = 0; i < w.n_agents; i++)
                reversed.agents[i] = w.agents[w.n_agents - 1 - i];
        p = plan_of(&w, e);
        q = plan_of(&reversed, e);
        assert_int_equal(p->n_actions, q->n_actions);
        assert_true(p->n_actions > 0);
        for (size_t i = 0; i < p->n_actions; i++) {
                assert_int_equal(p->actions[i].kind, q->actions[i].kind);
                assert_string_equal(p->actions[i].text, q->actions[i].text);
                assert_string_equal(p->actions[i].agent ? p->actions[i].agent : "",
                                q->actions[i].agent ? q->actions[i].agent : "");
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_cold),
                cmocka_unit_test(test_effects),
                cmocka_unit_test(test_deferred),
                cmocka_unit_test(test_at_work),
                cmocka_unit_test(test_drift),
                cmocka_unit_test(test_manual_stop),
                cmocka_unit_test(test_unknown),
                cmocka_unit_test(test_hidden_server),
                cmocka_unit_test(test_foreign_name),
                cmocka_unit_test(test_removal_cap),
                cmocka_unit_test(test_removal_only_after_success),
                cmocka_unit_test(test_dependencies),
                cmocka_unit_test(test_stop_verb),
                cmocka_unit_test(test_dies_hard),
                cmocka_unit_test(test_elsewhere_by_name),
                cmocka_unit_test(test_start_refused),
                cmocka_unit_test(test_restart_between_tries),
                cmocka_unit_test(test_stop_departed_by_name),
                cmocka_unit_test(test_state_stopped),
                cmocka_unit_test(test_state_stopped_on_its_way),
                cmocka_unit_test(test_crash_anywhere),
                cmocka_unit_test(test_order_does_not_matter),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
