/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "drivers/agent/launch.h"

/* The steps that it takes if these are the outcomes and then all goes well. */
static Launch go(bool systemd, const LaunchOutcome *outcomes, size_t n) {
        Launch l = launch_begin(systemd);

        for (size_t i = 0; i < n; i++)
                launch_next(&l, outcomes[i]);
        return l;
}

#define GO(systemd, ...)                                                                           \
        go(systemd, (LaunchOutcome[]){ __VA_ARGS__ },                                              \
                        sizeof((LaunchOutcome[]){ __VA_ARGS__ }) / sizeof(LaunchOutcome))

static void test_all_goes_well(void **state) {
        static const LaunchStep wanted[] = { LAUNCH_READ_SPEC, LAUNCH_ASK_KEEPER,
                LAUNCH_OWN_TERMINAL, LAUNCH_RESET_TERMINAL, LAUNCH_CHECK_RUN, LAUNCH_PREPARE,
                LAUNCH_WRITE_RUN, LAUNCH_SAY_READY, LAUNCH_EXEC };
        Launch l = launch_begin(false);

        (void)state;
        for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
                assert_int_equal(l.step, wanted[i]);
                launch_next(&l, LAUNCH_DONE);
        }
        assert_int_equal(l.step, LAUNCH_EXEC);
}

static void test_no_keeper(void **state) {
        (void)state;
        assert_int_equal(GO(true, LAUNCH_DONE, LAUNCH_ABSENT).step, LAUNCH_MAKE_SESSION);
        assert_int_equal(GO(false, LAUNCH_DONE, LAUNCH_ABSENT).step, LAUNCH_FAILED);
        assert_int_equal(GO(true, LAUNCH_DONE, LAUNCH_ABSENT, LAUNCH_NOT_YET, LAUNCH_NOT_YET).step,
                        LAUNCH_MAKE_SESSION);
        assert_int_equal(GO(true, LAUNCH_DONE, LAUNCH_ABSENT, LAUNCH_DONE, LAUNCH_DONE).step,
                        LAUNCH_OWN_TERMINAL);
        /* It made the session, and nobody listens there. */
        assert_int_equal(GO(true, LAUNCH_DONE, LAUNCH_ABSENT, LAUNCH_DONE, LAUNCH_LATE).step,
                        LAUNCH_FAILED);
}

static void test_session_without_its_keeper(void **state) {
        Launch l = GO(true, LAUNCH_DONE, LAUNCH_ABSENT, LAUNCH_THERE);

        (void)state;
        assert_int_equal(l.step, LAUNCH_AWAIT_KEEPER);
        assert_false(l.made);
        launch_next(&l, LAUNCH_LATE);
        assert_int_equal(l.step, LAUNCH_ADD_KEEPER);
        launch_next(&l, LAUNCH_DONE);
        assert_int_equal(l.step, LAUNCH_AWAIT_KEEPER);
        assert_true(l.made);
        launch_next(&l, LAUNCH_LATE);
        assert_int_equal(l.step, LAUNCH_FAILED);
}

static void test_panes_that_go_away(void **state) {
        Launch l = GO(true, LAUNCH_DONE, LAUNCH_DONE);

        (void)state;
        for (unsigned i = 0; i < LAUNCH_RETRIES_MAX; i++) {
                launch_next(&l, LAUNCH_GONE);
                assert_int_equal(l.step, LAUNCH_ASK_KEEPER);
                launch_next(&l, LAUNCH_DONE);
        }
        launch_next(&l, LAUNCH_GONE);
        assert_int_equal(l.step, LAUNCH_FAILED);
}

static void test_errors(void **state) {
        Launch l = launch_begin(true);

        (void)state;
        /* Wherever it fails nothing else is done, but a run file that was written is taken back. */
        for (;;) {
                Launch failed = l;

                launch_next(&failed, LAUNCH_ERROR);
                if (l.step == LAUNCH_EXEC) {
                        assert_int_equal(failed.step, LAUNCH_REMOVE_RUN);
                        launch_next(&failed, LAUNCH_DONE);
                }
                assert_int_equal(failed.step, LAUNCH_FAILED);
                if (l.step == LAUNCH_EXEC)
                        return;
                launch_next(&l, LAUNCH_DONE);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_all_goes_well),
                cmocka_unit_test(test_no_keeper),
                cmocka_unit_test(test_session_without_its_keeper),
                cmocka_unit_test(test_panes_that_go_away),
                cmocka_unit_test(test_errors),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
