/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "drivers/systemd/unit-state.h"

static void test_words(void **state) {
        static const struct {
                const char *active;
                const char *sub;
                UnitState expected;
        } cases[] = {
                { "active", "running", UNIT_ACTIVE },
                { "active", "exited", UNIT_ACTIVE },
                { "reloading", "reload", UNIT_ACTIVE },
                { "inactive", "dead", UNIT_INACTIVE },
                { "failed", "failed", UNIT_FAILED },
                { "activating", "start", UNIT_ACTIVATING },
                { "activating", "auto-restart", UNIT_RESTARTING },
                { "activating", "auto-restart-queued", UNIT_RESTARTING },
                { "failed", "failed-before-auto-restart", UNIT_RESTARTING },
                { "inactive", "dead-before-auto-restart", UNIT_RESTARTING },
                { "deactivating", "stop-sigterm", UNIT_DEACTIVATING },
                { "deactivating", "stop-post", UNIT_DEACTIVATING },
                { "maintenance", "cleaning", UNIT_OTHER },
                { "", "", UNIT_OTHER },
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_int_equal(unit_state_from_words(cases[i].active, cases[i].sub),
                                cases[i].expected);
}

static void test_fulfils(void **state) {
        static const struct {
                UnitState state;
                bool start;
                bool stop;
        } cases[] = {
                { UNIT_NOT_LOADED, false, true },
                { UNIT_INACTIVE, false, true },
                { UNIT_FAILED, false, true },
                { UNIT_ACTIVE, true, false },
                { UNIT_ACTIVATING, false, false },
                { UNIT_DEACTIVATING, false, false },
                { UNIT_RESTARTING, false, false },
                { UNIT_OTHER, false, false },
        };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                assert_int_equal(unit_state_fulfils(JOB_START, cases[i].state), cases[i].start);
                assert_int_equal(unit_state_fulfils(JOB_STOP, cases[i].state), cases[i].stop);
        }
}

static void test_sentences(void **state) {
        static const char *const bad[] = { "failed", "dependency", "timeout", "canceled", "lost",
                "skipped", "collected", "assert", "once", "", "a word of tomorrow" };

        (void)state;
        assert_null(unit_job_result_sentence(JOB_START, "done"));
        assert_null(unit_job_result_sentence(JOB_STOP, "done"));
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                assert_non_null(unit_job_result_sentence(JOB_START, bad[i]));
                assert_non_null(unit_job_result_sentence(JOB_STOP, bad[i]));
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_words),
                cmocka_unit_test(test_fulfils),
                cmocka_unit_test(test_sentences),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
