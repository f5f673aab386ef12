/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>

#include <cmocka.h>

#include "drivers/os/clock.h"
#include "drivers/os/process.h"
#include "model/base/parse.h"

static void on_alarm(int number _unused_) {
}

/* Signals, some a second apart and some every few milliseconds: what a heartbeat or a person
 * does. */
static void set_alarm(suseconds_t interval_usec) {
        const struct sigaction action = { .sa_handler = on_alarm };
        const struct itimerval timer = {
                .it_interval = { .tv_usec = interval_usec },
                .it_value = { .tv_usec = interval_usec },
        };

        assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
        assert_int_equal(setitimer(ITIMER_REAL, &timer, NULL), 0);
}

static int run(const char *script, uint64_t timeout_usec, ProcessResult *ret) {
        char shell[] = "/bin/sh", option[] = "-c", *text = strdup(script);
        char *argv[] = { shell, option, text, NULL };
        const ProcessRequest request = {
                .argv = argv,
                .output_max = 100,
                .timeout_usec = timeout_usec,
        };
        int r;

        assert_non_null(text);
        r = process_run(&request, ret);
        free(text);
        return r;
}

/* What a program is called finds it in the absolute parts of PATH only. */
static void test_path(void **state _unused_) {
        static const struct {
                const char *path;
                int result;
        } table[] = {
                { "/nowhere:/usr/bin:/bin", 0 },
                { "/", -ENOENT },
                { "", -ENOENT },
                { ".", -ENOENT },
                { ":/nowhere:", -ENOENT },
                { "bin:usr/bin", -ENOENT },
                { "bin:/bin", 0 },
        };
        char name[] = "true";
        char *argv[] = { name, NULL };
        const ProcessRequest request = { .argv = argv, .timeout_usec = 10 * USEC_PER_SEC };
        _cleanup_free_ char *before = strdup(getenv("PATH")), *directory = getcwd(NULL, 0);

        assert_true(before && directory);
        assert_int_equal(chdir("/bin"), 0);
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                _cleanup_process_result_ ProcessResult result = PROCESS_RESULT_NULL;

                assert_int_equal(setenv("PATH", table[i].path, 1), 0);
                assert_int_equal(process_run(&request, &result), table[i].result);
        }
        assert_int_equal(setenv("PATH", before, 1) | chdir(directory), 0);
}

static void test_outcomes(void **state _unused_) {
        _cleanup_process_result_ ProcessResult result = PROCESS_RESULT_NULL;

        assert_int_equal(run("echo out; echo err >&2; exit 3", 10 * USEC_PER_SEC, &result), 0);
        assert_int_equal(result.status, 3);
        assert_string_equal(result.output, "out\n");
        assert_string_equal(result.errors, "err\n");
        process_result_done(&result);
        assert_int_equal(run("kill -USR1 $$", 10 * USEC_PER_SEC, &result), 0);
        assert_int_equal(result.signal, SIGUSR1);
        process_result_done(&result);
        assert_int_equal(run("yes", 10 * USEC_PER_SEC, &result), -EFBIG);
}

/* A child that holds or has closed its outputs and does not end, under a rain of signals. */
static void test_deadline(void **state _unused_) {
        static const char *const scripts[] = { "exec sleep 30", "exec sleep 30 >&- 2>&-" };
        static const suseconds_t intervals[] = { 0, 5000 };

        for (size_t i = 0; i < ELEMENTSOF(scripts) * ELEMENTSOF(intervals); i++) {
                _cleanup_process_result_ ProcessResult result = PROCESS_RESULT_NULL;
                uint64_t before = clock_monotonic_usec(), took;
                int r;

                set_alarm(intervals[i % 2]);
                r = run(scripts[i / 2], 300 * USEC_PER_MSEC, &result);
                set_alarm(0);
                took = clock_monotonic_usec() - before;
                assert_int_equal(r, -ETIMEDOUT);
                assert_true(took >= 300 * USEC_PER_MSEC);
                assert_true(took < 5 * USEC_PER_SEC);
        }
}

/* Signals do not shorten it either. */
static void test_end_after_signals(void **state _unused_) {
        _cleanup_process_result_ ProcessResult result = PROCESS_RESULT_NULL;
        int r;

        set_alarm(5000);
        r = run("exec >&- 2>&-; sleep 0.3; exit 5", 20 * USEC_PER_SEC, &result);
        set_alarm(0);
        assert_int_equal(r, 0);
        assert_int_equal(result.status, 5);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_outcomes),
                cmocka_unit_test(test_path),
                cmocka_unit_test(test_deadline),
                cmocka_unit_test(test_end_after_signals),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
