/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "drivers/systemd/dropin.h"
#include "model/base/parse.h"

#define HEAD                                                                                       \
        "# Owned by mosaic, which replaces it. Change the roster instead; what the roster\n"       \
        "# cannot say goes into a file of another name beside this one.\n"

typedef struct Case {
        const char *name;
        AgentSpec spec;
        char *success[4];
        const char *text;
} Case;

static char status[] = "143", hangup[] = "SIGHUP";

static Case cases[] = {
        { .name = "defaults",
                        .spec = { .restart_policy = RESTART_ALWAYS,
                                        .restart_delay_usec = 5 * USEC_PER_SEC,
                                        .restart_attempts = 5,
                                        .restart_window_usec = 600 * USEC_PER_SEC,
                                        .stop_timeout_usec = 20 * USEC_PER_SEC },
                        .success = { status, hangup },
                        .text = HEAD "[Unit]\n"
                                     "StartLimitIntervalSec=600s\n"
                                     "StartLimitBurst=6\n"
                                     "\n"
                                     "[Service]\n"
                                     "Restart=always\n"
                                     "RestartSec=5s\n"
                                     "SuccessExitStatus=143 SIGHUP\n"
                                     "TimeoutStopSec=20s\n" },
        { .name = "on-failure comes back after a hangup, limits are numbers",
                        .spec = { .restart_policy = RESTART_ON_FAILURE,
                                        .restart_delay_usec = 1500 * USEC_PER_MSEC,
                                        .restart_attempts = 1,
                                        .restart_window_usec = 7,
                                        .stop_timeout_usec = USEC_INFINITY,
                                        .limit_memory = UINT64_C(2) << 40,
                                        .limit_cpu = 150,
                                        .limit_tasks = 64 },
                        .text = HEAD "[Unit]\n"
                                     "StartLimitIntervalSec=7us\n"
                                     "StartLimitBurst=2\n"
                                     "\n"
                                     "[Service]\n"
                                     "Restart=on-failure\n"
                                     "RestartForceExitStatus=SIGHUP\n"
                                     "RestartSec=1500ms\n"
                                     "TimeoutStopSec=infinity\n"
                                     "MemoryMax=2199023255552\n"
                                     "CPUQuota=150%\n"
                                     "TasksMax=64\n" },
        { .name = "no attempts is no limit, and a stop timeout of 0 is not for ever",
                        .spec = { .restart_policy = RESTART_ALWAYS },
                        .text = HEAD "[Unit]\n"
                                     "StartLimitIntervalSec=0\n"
                                     "\n"
                                     "[Service]\n"
                                     "Restart=always\n"
                                     "RestartSec=0s\n"
                                     "TimeoutStopSec=1us\n" },
        { .name = "never has no delay and no limit",
                        .spec = { .restart_policy = RESTART_NEVER,
                                        .restart_attempts = 5,
                                        .restart_window_usec = USEC_PER_SEC,
                                        .stop_timeout_usec = USEC_PER_SEC },
                        .text = HEAD "[Unit]\n"
                                     "StartLimitIntervalSec=0\n"
                                     "\n"
                                     "[Service]\n"
                                     "Restart=no\n"
                                     "TimeoutStopSec=1s\n" },
};

static void test_texts(void **state) {
        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *text = NULL;

                char name[] = "web";

                cases[i].spec.name = name;
                cases[i].spec.success_exit_status = cases[i].success;
                print_message("# %s\n", cases[i].name);
                assert_int_equal(dropin_render(&cases[i].spec, &text), 0);
                assert_string_equal(text, cases[i].text);
        }
}

static void test_nothing_else_gets_in(void **state) {
        /* Everything a roster may say in free text. */
        AgentSpec spec = {
                .name = (char[]){ "web" },
                .runtime = (char[]){ "pi\n[Service]\nExecStart=/evil" },
                .model = (char[]){ "evil" },
                .argv = (char *[]){ (char[]){ "evil" }, NULL },
                .workdir = (char[]){ "/evil" },
                .env = (char *[]){ (char[]){ "EVIL=1" }, NULL },
                .description = (char[]){ "evil\nExecStartPre=/evil" },
                .labels = (char *[]){ (char[]){ "evil=1" }, NULL },
                .stop_timeout_usec = USEC_PER_SEC,
        };
        _cleanup_free_ char *text = NULL;

        (void)state;
        assert_int_equal(dropin_render(&spec, &text), 0);
        assert_null(strcasestr(text, "evil"));
}

static void test_words(void **state) {
        static const char *const good[] = { "0", "1", "143", "255", "SIGHUP", "SIGTERM", "SIGINT",
                "SIGKILL", "SIGUSR1", "SIGSEGV" };
        static const char *const bad[] = { "", "-1", "256", "007", "00", "1 2", "1\n", "178", "SIG",
                "SIGFOO", "sighup", "HUP", "SIGHUP\nExecStart=/evil", "SIGHUP ", "TEMPFAIL", "+1",
                "1e2", "99999999999999999999", "SIGRTMIN+1" };

        (void)state;
        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                assert_true(exit_status_word_is_valid(good[i]));
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                _cleanup_free_ char *copy = strdup(bad[i]);
                AgentSpec spec = {
                        .name = (char[]){ "web" },
                        .success_exit_status = (char *[]){ (char[]){ "0" }, copy, NULL },
                };
                char *text = NULL;

                print_message("# %s\n", bad[i]);
                assert_false(exit_status_word_is_valid(bad[i]));
                assert_int_equal(dropin_render(&spec, &text), -EINVAL);
                assert_null(text);
        }
}

static void test_paths(void **state) {
        Paths p = { .units = (char[]){ "/u" }, .unit_prefix = (char[]){ "mosaic-1a2b3c4d-" } };
        _cleanup_free_ char *path = NULL;

        (void)state;
        assert_int_equal(dropin_path(&p, "web-1", &path), 0);
        assert_string_equal(path, "/u/mosaic-1a2b3c4d-agent@web-1.service.d/50-mosaic.conf");
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_texts),
                cmocka_unit_test(test_nothing_else_gets_in),
                cmocka_unit_test(test_words),
                cmocka_unit_test(test_paths),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
