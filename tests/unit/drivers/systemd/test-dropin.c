/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "drivers/os/file.h"
#include "drivers/systemd/dropin.h"
#include "model/base/format.h"
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

/* --- files ------------------------------------------------------------------------------------ */

#define MANY 6 /* more than are written one by one */
#define ROUNDS 30

static char folder[] = "/tmp/mosaic-dropin-XXXXXX";

static int remove_one(const char *path,
                const struct stat *st _unused_,
                int type _unused_,
                struct FTW *ftw _unused_) {
        return remove(path);
}

static int set_up(void **state _unused_) {
        return mkdtemp(folder) ? 0 : -1;
}

static int tear_down(void **state _unused_) {
        return nftw(folder, remove_one, 10, FTW_DEPTH | FTW_PHYS);
}

/* Writes the drop-ins of one fleet again and again; how many rounds went wrong. */
static int write_again(const char *prefix) {
        static char names[MANY][2] = { "a", "b", "c", "d", "e", "f" };
        Paths p = { .units = folder, .unit_prefix = (char *)(uintptr_t)prefix };
        AgentSpec agents[MANY] = { 0 }, *list[MANY];
        int n_wrong = 0;

        for (size_t i = 0; i < MANY; i++) {
                agents[i].name = names[i];
                list[i] = agents + i;
        }
        for (unsigned round = 1; round <= ROUNDS; round++) {
                bool good;

                for (size_t i = 0; i < MANY; i++)
                        agents[i].limit_tasks = (unsigned)strlen(prefix) * 1000 + round;
                good = dropins_write(&p, list, MANY) == 0;
                for (size_t i = 0; i < MANY; i++) {
                        DropinState state = DROPIN_ABSENT;

                        good = dropin_check(&p, agents + i, &state) == 0 &&
                               state == DROPIN_CURRENT && good;
                }
                n_wrong += !good;
        }
        return n_wrong;
}

/* Two homes of one user have one folder for their units, and agents of the same names. */
static void test_two_fleets(void **state _unused_) {
        int end, n_wrong;
        pid_t pid = fork();

        assert_true(pid >= 0);
        if (pid == 0)
                _exit(write_again("mosaic-1a2b3c4d-"));
        n_wrong = write_again("mosaic-");
        assert_int_equal(waitpid(pid, &end, 0), pid);
        assert_true(WIFEXITED(end));
        assert_int_equal(n_wrong + WEXITSTATUS(end), 0);
}

/* The folder of a drop-in goes with it, also where a writer was killed in the middle. */
static void test_left_behind(void **state _unused_) {
        const struct timespec long_ago[] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
        Paths p = { .units = folder, .unit_prefix = (char[]){ "mosaic-" } };
        _cleanup_free_ char *directory = NULL, *left = NULL;
        char name[] = "left";
        AgentSpec spec = { .name = name }, *list[] = { &spec };

        assert_int_equal(dropins_write(&p, list, 1), 0);
        assert_int_equal(dropin_directory(&p, name, &directory), 0);
        assert_int_equal(format_text(&left, "%s/." DROPIN_FILE ".tmp-%d", directory, INT32_MAX), 0);
        assert_int_equal(file_replace(left, "", 0, 0600), 0);
        assert_int_equal(utimensat(AT_FDCWD, left, long_ago, 0), 0);
        assert_int_equal(dropin_remove(&p, name), 0);
        assert_int_equal(access(directory, F_OK), -1);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_texts),
                cmocka_unit_test(test_nothing_else_gets_in),
                cmocka_unit_test(test_words),
                cmocka_unit_test(test_paths),
                cmocka_unit_test(test_two_fleets),
                cmocka_unit_test(test_left_behind),
        };

        return cmocka_run_group_tests(tests, set_up, tear_down);
}
