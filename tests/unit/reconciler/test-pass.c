/* SPDX-License-Identifier: MIT */

/* What a pass finds when it looks again: an agent that came up while it was waited for may end at
 * once, and is not said to run. The looks are scripted. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "model/base/parse.h"
#include "reconciler/pass.h"
#include "tests/simulation/world.h"

/* One letter a look, the last one for all that follow: what the agent's unit is then. */
#define UP "u"
#define ENDING "e"
#define DOWN "d"
#define BETWEEN "1"  /* two tries, after its first end */
#define AGAIN "2"    /* ... after its second */
#define LAUNCHER "3" /* ... after its launcher's, which found no terminal yet */

static const char *const one[] = { "web" };
static const char *script;
static int (*look)(void *world, const Desired *d, bool details, Observed **ret);
static size_t n_looks, n_pauses;

int nanosleep(const struct timespec *time _unused_, struct timespec *left _unused_) {
        n_pauses++;
        return 0;
}

static void set_restarting(Observed *o, unsigned end) {
        ObservedStop *stop;

        observed_unit(o, "web")->state = UNIT_RESTARTING;
        stop = observed_add_stop(o);
        assert_non_null(stop);
        stop->agent = strdup("web");
        stop->result = strdup("exit-code");
        stop->code = strdup("exited");
        stop->status = strdup(end == 3 ? "75" : "1");
        stop->this_boot = true;
        stop->at_usec = end;
        observed_stop_classify(stop);
}

static int observe(void *world, const Desired *d, bool details, Observed **ret) {
        int r = look(world, d, details, ret);

        assert_int_equal(r, 0);
        if (*script == *ENDING)
                observed_unit(*ret, "web")->state = UNIT_DEACTIVATING;
        else if (*script == *DOWN)
                observed_unit(*ret, "web")->state = UNIT_INACTIVE;
        else if (*script != *UP)
                set_restarting(*ret, (unsigned)(*script - '0'));
        if (script[1])
                script++;
        n_looks++;
        return r;
}

static ExitCode run(Context *c, Desired *d, PlanMode mode) {
        PlanPolicy policy = PLAN_POLICY_DEFAULT;
        Pass p = PASS_NULL;
        ExitCode code;

        policy.mode = mode;
        p.desired = d; /* borrowed: taken out again below */
        assert_int_equal(pass_plan(c, &policy, false, &p), 0);
        assert_int_equal(pass_settle(c, &policy, NULL, &p), 0);
        assert_int_equal(pass_apply(c, &policy, NULL, &p), 0);
        code = pass_exit_code(&p);
        p.desired = NULL;
        pass_done(&p);
        return code;
}

/* 'start' of a fleet that is in sync but for its unit, whose states are as in @looks; the first is
 * the plan's. */
static ExitCode start(const char *looks) {
        _cleanup_(desired_freep) Desired *d = world_desired(one, 1);
        Context c = { 0 };
        World w;

        world_init(&w);
        c.driver = world_driver(&w);
        assert_int_equal(run(&c, d, PLAN_CONVERGE), EXIT_OK);
        w.now_usec += 10 * USEC_PER_SEC; /* nobody has just started */
        script = looks;
        look = c.driver.observe;
        c.driver.observe = observe;
        n_looks = n_pauses = 0;
        return run(&c, d, PLAN_START);
}

static void test_stays_up(void **state _unused_) {
        assert_int_equal(start(UP), EXIT_OK);
        assert_int_equal(n_looks, 1); /* nothing to do is not looked at twice */
        assert_int_equal(start(BETWEEN BETWEEN UP UP), EXIT_OK);
        assert_int_equal(n_looks, 4);
        assert_int_equal(n_pauses, 2);
}

static void test_ends_at_once(void **state _unused_) {
        assert_int_equal(start(BETWEEN BETWEEN UP AGAIN), EXIT_NOT_CONVERGED);
        assert_int_equal(n_looks, 4);
        /* It came and went between two looks: nobody waits for its next time. */
        assert_int_equal(start(BETWEEN BETWEEN AGAIN), EXIT_NOT_CONVERGED);
        assert_int_equal(n_looks, 4);
}

/* Who was on its way down did not end again, and comes back. */
static void test_comes_back(void **state _unused_) {
        assert_int_equal(start(ENDING BETWEEN BETWEEN UP), EXIT_OK);
        assert_int_equal(start(ENDING BETWEEN UP AGAIN UP), EXIT_OK);
        assert_int_equal(start(BETWEEN LAUNCHER LAUNCHER UP), EXIT_OK);
}

/* Who was on its way down, and stays there, is started by this pass, not by the next. */
static void test_goes_down(void **state _unused_) {
        assert_int_equal(start(ENDING ENDING DOWN UP), EXIT_OK);
        assert_int_equal(n_looks, 4);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_stays_up),
                cmocka_unit_test(test_ends_at_once),
                cmocka_unit_test(test_comes_back),
                cmocka_unit_test(test_goes_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
