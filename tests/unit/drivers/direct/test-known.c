/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/direct/known.h"

/* The state that the answer gives the agent. */
static UnitState state_by(int error, KeeperState state) {
        _cleanup_(observed_freep) Observed *o = NULL;
        KeeperCall call = { .name = "ada", .error = error, .state = state };

        assert_int_equal(observed_new(SUPERVISOR_DIRECT, &o), 0);
        assert_int_equal(known_add_unit(o, &call), 0);
        return o->n_units == 0 ? UNIT_NOT_LOADED : o->units[0].state;
}

static void test_what_keepers_say(void **state) {
        (void)state;
        assert_int_equal(state_by(0, KEEPER_HAS_NONE), UNIT_NOT_LOADED);
        assert_int_equal(state_by(0, KEEPER_HAS_STARTING), UNIT_ACTIVATING);
        assert_int_equal(state_by(0, KEEPER_HAS_RUNNING), UNIT_ACTIVE);
        assert_int_equal(state_by(0, KEEPER_HAS_STOPPING), UNIT_DEACTIVATING);
        assert_int_equal(state_by(-ENOENT, KEEPER_HAS_NONE), UNIT_NOT_LOADED);
        assert_int_equal(state_by(-ECONNREFUSED, KEEPER_HAS_NONE), UNIT_NOT_LOADED);
        assert_int_equal(state_by(-ECONNRESET, KEEPER_HAS_NONE), UNIT_NOT_LOADED);
}

/* Whoever could not ask does not know. */
static void test_not_asked(void **state) {
        static const int errors[] = { ETIMEDOUT, EMFILE, ENFILE, ENOBUFS, ENOMEM };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(errors); i++)
                assert_int_equal(state_by(-errors[i], KEEPER_HAS_NONE), UNIT_OTHER);
}

static void test_who_is_asked(void **state) {
        _cleanup_(observed_freep) Observed *o = NULL;
        ObservedSession *s;
        ObservedRun *run;

        (void)state;
        assert_int_equal(observed_new(SUPERVISOR_DIRECT, &o), 0);
        s = observed_add_session(o);
        s->owner = SESSION_AGENT;
        s->agent = strdup("ada");
        assert_true(known_needs_query(o, 0));
        s->pane_dead = true;
        assert_false(known_needs_query(o, 0));
        s->pane_dead = false;
        run = observed_add_run(o);
        run->agent = strdup("ada");
        assert_true(known_needs_query(o, 0)); /* of a process that is gone */
        run->alive = true;
        assert_false(known_needs_query(o, 0));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_what_keepers_say),
                cmocka_unit_test(test_not_asked),
                cmocka_unit_test(test_who_is_asked),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
